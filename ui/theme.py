"""The one theme: quiet neutral surfaces, one accent, system fonts, light and dark."""

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

ACCENT = colors.Color(
    name="accent", c50="#e9f6f4", c100="#cfeae6", c200="#a3d7d0", c300="#6fc0b6", c400="#3ea598", c500="#1c887c",
    c600="#0f6f65", c700="#0c5a53", c800="#0b4742", c900="#093935", c950="#052522",
)  # fmt: skip
NEUTRAL = colors.Color(
    name="ink", c50="#f6f7f8", c100="#eceef0", c200="#dfe3e6", c300="#c6ccd1", c400="#98a1a9", c500="#68727b",
    c600="#4f5860", c700="#383f46", c800="#24292e", c900="#191d20", c950="#111416",
)  # fmt: skip
SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")


class Studio(Base):
    """Plain font names only: nothing is fetched from anywhere. What a variable cannot say is in assets/style.css."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=ACCENT, secondary_hue=ACCENT, neutral_hue=NEUTRAL, font=SANS, font_mono=MONO,
            text_size=sizes.text_sm, spacing_size=sizes.spacing_md, radius_size=sizes.radius_md,
        )  # fmt: skip
        self.name = "studio"
        self.set(
            body_background_fill="*neutral_50", body_background_fill_dark="*neutral_950",
            body_text_color="#171b1e", body_text_color_dark="#e8ebed",
            body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="#a3adb5",
            background_fill_primary="#ffffff", background_fill_primary_dark="*neutral_900",
            background_fill_secondary="*neutral_50", background_fill_secondary_dark="*neutral_950",
            border_color_primary="*neutral_200", border_color_primary_dark="#2e343a",
            color_accent="*primary_600", color_accent_soft="*primary_50", color_accent_soft_dark="*primary_950",
            link_text_color="*primary_700", link_text_color_dark="*primary_300",
            block_background_fill="transparent", block_background_fill_dark="transparent",
            block_border_width="0px", block_border_width_dark="0px", block_shadow="none", block_shadow_dark="none",
            block_padding="0", block_radius="0", panel_border_width="0px", panel_background_fill="transparent",
            panel_background_fill_dark="transparent", layout_gap="18px", form_gap_width="0px",
            block_label_background_fill="transparent", block_label_background_fill_dark="transparent",
            block_title_text_color="*body_text_color", block_title_text_color_dark="*body_text_color",
            block_title_text_weight="600", block_title_text_size="13px", block_title_background_fill="none",
            block_title_background_fill_dark="none", block_title_padding="0", block_info_text_size="12.5px",
            block_info_text_color="*body_text_color_subdued", block_info_text_color_dark="*body_text_color_subdued",
            input_background_fill="#ffffff", input_background_fill_dark="#15191c", input_border_width="1px",
            input_border_color="#c3c9ce", input_border_color_dark="#3b434a", input_border_color_focus="*primary_600",
            input_border_color_focus_dark="*primary_400", input_shadow="none", input_shadow_dark="none",
            input_shadow_focus="0 0 0 3px #1c887c33", input_shadow_focus_dark="0 0 0 3px #3ea59855",
            input_radius="8px", input_padding="9px 11px", input_text_size="14px",
            slider_color="*primary_600", slider_color_dark="*primary_400",
            button_large_radius="8px", button_medium_radius="8px", button_small_radius="7px",
            button_large_padding="9px 14px", button_large_text_size="14px", button_large_text_weight="600",
            button_medium_padding="9px 14px", button_medium_text_size="14px", button_medium_text_weight="600",
            button_small_padding="6px 10px", button_small_text_size="13px",
            button_border_width="1px", button_border_width_dark="1px", button_primary_shadow="none",
            button_primary_background_fill="*primary_600", button_primary_background_fill_dark="*primary_300",
            button_primary_background_fill_hover="*primary_700",
            button_primary_background_fill_hover_dark="*primary_200",
            button_primary_text_color="#ffffff", button_primary_text_color_dark="*neutral_950",
            button_primary_border_color="transparent", button_primary_border_color_dark="transparent",
            button_secondary_background_fill="#ffffff", button_secondary_background_fill_dark="#20262a",
            button_secondary_background_fill_hover="*neutral_100",
            button_secondary_background_fill_hover_dark="#2a3136",
            button_secondary_border_color="#c3c9ce", button_secondary_border_color_dark="#3b434a",
            button_secondary_text_color="*body_text_color", button_secondary_text_color_dark="*body_text_color",
            error_text_color="#a3261c", error_text_color_dark="#ff9a8f", error_border_color="#d9776e",
            error_background_fill="#fdf1f0", error_background_fill_dark="#2b1715",
        )  # fmt: skip
