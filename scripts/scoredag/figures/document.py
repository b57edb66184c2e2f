"""What the pages have in common that are one file of HTML without a library."""

from html import escape


def document(title: str, style: str, body: str, policy: str) -> str:
    """A whole page.

    Args:
        title: plain text.
        style: CSS.
        body: HTML.
        policy: what the browser may fetch and run, a Content-Security-Policy.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
