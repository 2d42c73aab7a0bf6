"""The theme of Gradio's own components, in the same colours as `site/vivalab.css`."""

import gradio as gr
from gradio.themes.utils import sizes

LIGHT = {
    "bg": "#f7f7f5",
    "panel": "#ffffff",
    "ink": "#1c1f24",
    "dim": "#5c6573",
    "line": "#e2e2dc",
    "line_strong": "#c9c9c1",
    "accent": "#0f766e",
    "accent_hover": "#0b5f58",
    "accent_ink": "#ffffff",
    "bad": "#b42318",
}
DARK = {
    "bg": "#101317",
    "panel": "#171b21",
    "ink": "#e8eaed",
    "dim": "#9aa4b1",
    "line": "#2a3038",
    "line_strong": "#3d4550",
    "accent": "#5eead4",
    "accent_hover": "#99f6e4",
    "accent_ink": "#06201c",
    "bad": "#f97066",
}
ROLES = {
    "bg": ["body_background_fill"],
    "panel": [
        "block_background_fill",
        "background_fill_primary",
        "background_fill_secondary",
        "input_background_fill",
        "button_secondary_background_fill",
        "button_secondary_background_fill_hover",
        "panel_background_fill",
        "code_background_fill",
        "table_even_background_fill",
        "table_odd_background_fill",
    ],
    "ink": ["body_text_color", "block_title_text_color", "button_secondary_text_color", "block_label_text_color"],
    "dim": ["body_text_color_subdued", "block_info_text_color", "input_placeholder_color"],
    "line": ["border_color_primary", "block_border_color", "panel_border_color", "input_border_color"],
    "line_strong": ["button_secondary_border_color", "input_border_color_hover"],
    "accent": [
        "button_primary_background_fill",
        "border_color_accent",
        "color_accent",
        "input_border_color_focus",
        "slider_color",
        "loader_color",
        "link_text_color",
    ],
    "accent_hover": ["button_primary_background_fill_hover", "link_text_color_hover"],
    "accent_ink": ["button_primary_text_color"],
    "bad": ["error_text_color", "error_border_color"],
}
UNMODED = {"color_accent"}


def theme() -> gr.themes.Base:
    """Return Vivalab's theme, light and dark."""
    base = gr.themes.Base(
        font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"),
        font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
        radius_size=sizes.radius_md,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
    )
    values: dict[str, str] = {}
    for role, names in ROLES.items():
        for name in names:
            values[name] = "var(--accent)" if name in UNMODED else LIGHT[role]
            if name not in UNMODED:
                values[f"{name}_dark"] = DARK[role]
    return base.set(
        **values,
        block_border_width="0px",
        block_shadow="none",
        block_label_border_width="0px",
        block_padding="0px",
        button_large_radius="8px",
        button_small_radius="8px",
        button_large_text_size="14px",
        button_large_text_weight="600",
        button_small_text_weight="600",
        button_large_padding="7px 14px",
        button_border_width="1px",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_transition="none",
        input_border_width="1px",
        input_radius="8px",
    )
