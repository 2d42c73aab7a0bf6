/* The form pages outside Gradio follow the system's light or dark mode as its pages do. */
if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.classList.add("dark");
