"""Drawing a contract's paper: the text as it was sent, and the certificate of its signature."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any
from unicodedata import normalize

from flask_babel import get_locale, gettext
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from PIL import Image
from pypdf import PdfWriter

from portal.domain.contracts.text import Block, Part, blocks
from portal.web.i18n import tag_of
from portal.web.typefaces import parts_for

FONTS = files("ttf_opensans") / "ttf"
FAMILY = "Open Sans"
# Parts in this format hold every weight.
VARIABLE, WEIGHT = ".woff2", {"wght": 400.0}
# Millimetres and points.
MARGIN, LINE, LOGO = 20, 5.6, 16
TEXT, SMALL, LARGE, TITLE = 10.5, 8.5, 12.5, 18
INK, SOFT, RULE = (25, 32, 45), (70, 80, 99), (200, 206, 215)
DRAWING = (90, 32)


class Paper(FPDF):
    """An A4 page with the partner's name on top, and document and page at its foot.

    ``text`` is what else will be written, so that whatever letters it needs are there.
    """

    def __init__(
        self, partner: str, foot: str, title: str, text: str, made: datetime, logo: bytes | None = None
    ) -> None:
        super().__init__(format="A4")
        self._partner, self._foot, self._logo = partner, foot, logo
        self._has_other_letters = False
        for style, name in (("", "Regular"), ("B", "SemiBold")):
            self.add_font(FAMILY, style, str(FONTS / f"OpenSans-{name}.ttf"))
        self._add_letters(f"{partner}{foot}{title}{text}")
        self.set_margin(MARGIN)
        self.set_auto_page_break(True, MARGIN + 8)
        self.set_title(title)
        self.set_author(partner)
        self.set_creator("Doorstep")
        self.set_lang(tag_of(str(get_locale())))
        # The same bytes each time it is drawn.
        self.set_creation_date(made)
        self.add_page()

    def add_page(self, *args: Any, **kwargs: Any) -> None:
        """Begin a page, in the typeface of the one before."""
        super().add_page(*args, **kwargs)
        self._take_up()

    def _take_up(self) -> None:
        # A line that begins with other letters sets the typeface for itself alone, but counts as having set it for
        # what follows. Writing nothing sets it.
        if self._has_other_letters and self.current_font is not None:
            self.text(self.x, self.y)

    def _add_letters(self, text: str) -> None:
        """Make ready what ``text`` needs beyond Open Sans, which is nothing for most papers."""
        parts = parts_for(text, Path(str(FONTS / "OpenSans-Regular.ttf")))
        for part in parts:
            self.add_font(part.stem, "", str(part), variations=WEIGHT if part.suffix == VARIABLE else None)
        self._has_other_letters = bool(parts)
        # Bold is drawn by the same parts, rather than by as many more.
        self.set_fallback_fonts([part.stem for part in parts], exact_match=False)

    def header(self) -> None:
        """Draw the partner's name and, on the first page, the logo."""
        top = self.get_y()
        if self._logo is not None and self.page_no() == 1:
            picture = Image.open(BytesIO(self._logo))
            width = min(60.0, LOGO * picture.width / picture.height)
            self.image(picture, x=self.w - MARGIN - width, y=top, w=width, alt_text=self._partner)
        self._use(SMALL, SOFT, bold=True)
        self.multi_cell(self.epw - 65, 5, self._partner, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")
        self.set_y(max(self.get_y(), top + LOGO if self._logo is not None and self.page_no() == 1 else 0) + 6)

    def footer(self) -> None:
        """Draw which document this is and which page."""
        self.set_y(-MARGIN + 2)
        self.set_draw_color(*RULE)
        self.line(MARGIN, self.get_y() - 2, self.w - MARGIN, self.get_y() - 2)
        self._use(SMALL, SOFT)
        self.cell(self.epw / 2, 5, self._foot)
        self.cell(self.epw / 2, 5, f"{self.page_no()} / {{nb}}", align="R")

    def headline(self, text: str, below: str = "") -> None:
        """Draw the title of the document, with a line below."""
        self._write(text, TITLE, 9, bold=True)
        if below:
            self._write(below, TEXT, LINE, SOFT)
        self.ln(4)

    def block(self, block: Block) -> None:
        """Draw a part of the text."""
        if block.part is Part.HEADING:
            # Not alone at the end of a page.
            if self.will_page_break(4 * LINE):
                self.add_page()
            self.ln(2)
            self._write(block.lines[0], LARGE, 7, bold=True)
        elif block.part is Part.LIST:
            for line in block.lines:
                self._use(TEXT)
                self.cell(5, LINE, "•")
                self.multi_cell(self.epw - 5, LINE, line, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")
            self.ln(2)
        else:
            self._write("\n".join(block.lines), TEXT, LINE)
            self.ln(2)

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Draw names and values, a row each."""
        for name, value in rows:
            if self.will_page_break(3 * LINE):
                self.add_page()
            self._write(name, SMALL, 5, SOFT)
            self._write(value, TEXT, LINE)
            self.ln(1.5)

    def drawing(self, png: bytes, alt: str) -> None:
        """Draw a signature on its line."""
        if self.will_page_break(DRAWING[1] + 6):
            self.add_page()
        picture, (width, height) = Image.open(BytesIO(png)), DRAWING
        scale = min(width / picture.width, height / picture.height)
        top = self.get_y()
        self.image(picture, x=MARGIN, y=top + height - scale * picture.height, h=scale * picture.height, alt_text=alt)
        self.set_draw_color(*INK)
        self.line(MARGIN, top + height + 1, MARGIN + width, top + height + 1)
        self.set_y(top + height + 4)

    def _write(
        self, text: str, size: float, line: float, colour: tuple[int, int, int] = INK, bold: bool = False
    ) -> None:
        self._use(size, colour, bold)
        self.multi_cell(0, line, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")

    def _use(self, size: float, colour: tuple[int, int, int] = INK, bold: bool = False) -> None:
        self.set_font(FAMILY, "B" if bold else "", size)
        self.set_text_color(*colour)
        self._take_up()


def draw_contract(
    partner: str, number: str, version: int, body: str, made: datetime, below: str, logo: bytes | None
) -> bytes:
    """Return the PDF of a contract's text in the reader's language; ``made`` is an instant."""
    # Letters with their accents in one, as typefaces have them.
    partner, body, below = (normalize("NFC", text) for text in (partner, body, below))
    title = gettext("Contract %(number)s", number=number)
    foot = gettext("%(document)s, version %(version)s", document=title, version=version)
    paper = Paper(partner, foot, title, body + below, made, logo)
    paper.headline(title, below)
    for block in blocks(body):
        paper.block(block)
    return bytes(paper.output())


def draw_certificate(
    partner: str, document: str, rows: Sequence[tuple[str, str]], drawing: bytes | None, made: datetime
) -> bytes:
    """Return the PDF of a certificate: ``rows`` are names and values, ``drawing`` a PNG."""
    title, partner = gettext("Certificate of signature"), normalize("NFC", partner)
    rows = [(name, normalize("NFC", value)) for name, value in rows]
    text = "".join(name + value for name, value in rows)
    paper = Paper(partner, f"{title}: {document}", title, text, made)
    paper.headline(title, document)
    if drawing is not None:
        paper.drawing(drawing, gettext("Drawn signature"))
    paper.facts(rows)
    return bytes(paper.output())


def bound(first: bytes, second: bytes) -> bytes:
    """Return the pages of two PDFs in one; those of the first stay as they are."""
    writer = PdfWriter(clone_from=BytesIO(first))
    writer.append(BytesIO(second))
    made = BytesIO()
    writer.write(made)
    return made.getvalue()
