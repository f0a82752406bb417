"""A visitor of the console: a browser window that notes every complaint and every address."""

from urllib.parse import unquote

from tests.browser.people import DOUBTFUL, ENVIRONMENT, MERGED, NAMES, UNMERGED

PATIENCE = 300_000
"""Milliseconds after which what hangs is given up."""


class Visitor:
    """`page` is Playwright's; leave() judges what was noted."""

    def __init__(self, context, keys, *, pictures, size):
        self.context = context
        self.keys = keys
        self.addresses = []
        self.complaints = []
        self.expected = ()
        self._pictures = pictures
        self._size = size
        self.page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("framenavigated", lambda frame: self.addresses.append(frame.url))

    def _hear(self, message):
        self.complaints.append(f"{message.type}: {message.text}")

    def log_in(self, role="operator"):
        self.page.goto("/console/login")
        self.page.get_by_label("Environment").fill(ENVIRONMENT)
        self.page.get_by_label("Access key").fill(self.keys[role])
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", name="Merges", exact=True).wait_for()
        self.page.wait_for_load_state()
        return self.page

    def picture(self, name):
        """Wait until the whole page is there; keep a picture where pictures are wanted; nothing may be wider than the window.

        Some element of the page has to have been waited for, or the page before may be meant.
        """
        self.page.wait_for_load_state()
        width = self.page.viewport_size["width"]
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than its window"
        if self._pictures:
            self.page.screenshot(path=self._pictures / f"{name}-{self._size}.png", full_page=True)

    def leave(self):
        """Close the window; assert that no page complained and that no address told of a person."""
        self.context.close()
        heard = [words for words in self.complaints if not any(each in words for each in self.expected)]
        assert not heard, heard
        assert self.addresses, "no page was visited"
        told = unquote("\n".join(self.addresses))
        secrets = (*MERGED, *UNMERGED, DOUBTFUL, *NAMES, *self.keys.values())
        assert not [secret for secret in secrets if secret in told], "an address tells of a person or a key"
