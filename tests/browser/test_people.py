"""The pages of customers and technicians as a browser shows them, on a phone by day and at a desk by night."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from sqlalchemy.orm import Session

from portal.domain.people.models import Contact
from tests.browser.looking import LOOKS, PHONE, axe_complaints, overflow, sign_in
from tests.factories import Create, save


@pytest.mark.look
@pytest.mark.row("P23")
def test_nothing_for_axe_to_complain_about(
    page: Any,
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_customer: Create,
    create_technician: Create,
    create_installation: Create,
) -> None:
    partner = create_partner()
    ines = create_technician(partner, name="Ines Kowalski")
    priya = create_customer(partner, name="Priya Raman", phone="+44 7700 900233", access_notes="Ring twice")
    twin = create_customer(partner, name="P. Raman", phone="+44 7700 900233", access_notes="Gate 4711")
    both = {"email": "arjun@mail.example", "gets_visits": True}
    save(session, Contact(partner_id=partner.id, customer_id=priya.id, name="Arjun Raman", relation="son", **both))
    create_installation(partner, priya, ines)
    sign_in(page, create_staff(partner))
    people = f"/admin/customers/{priya.id}/", f"/admin/customers/edit/?id={priya.id}", "/admin/customers/duplicates/"
    merging = f"/admin/customers/merge/?keep={priya.id}&other={twin.id}", f"/admin/customers/merge/?keep={priya.id}&q=r"
    found: list[str] = []
    for size, scheme in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for address in (*people, *merging, f"/admin/technicians/edit/?id={ines.id}"):
            page.goto(address)
            found.extend(axe_complaints(page))
            assert overflow(page) == 0, address
    page.goto(merging[0])
    page.get_by_role("button", name="Merge into Priya Raman").click()
    assert page.get_by_text("P. Raman is part of this customer now").is_visible()
    page.goto(f"/admin/customers/{twin.id}/")
    found.extend(axe_complaints(page))
    assert not found


@pytest.mark.look
@pytest.mark.row("P23")
def test_a_table_wider_than_a_phone_shows_on_which_side_there_is_more(
    page: Any,
    create_partner: Create,
    create_staff: Create,
    create_customer: Create,
    create_technician: Create,
    create_installation: Create,
) -> None:
    partner = create_partner()
    customer = create_customer(partner, name="Priya Raman")
    create_installation(partner, customer, create_technician(partner, name="Ines Kowalski-Fitzgerald"))
    sign_in(page, create_staff(partner))
    page.set_viewport_size(PHONE)
    page.goto(f"/admin/customers/{customer.id}/")
    box = page.locator("#jobs > .scroll")

    def shaded() -> list[bool]:
        """Return whether the ground is another at the left and the right end than in the middle, beside the words."""
        picture = Image.open(BytesIO(box.screenshot())).convert("RGB")
        width, y = picture.width, picture.height - 10
        ground = picture.getpixel((width // 2, y))
        return [picture.getpixel((x, y)) != ground for x in (1, width - 2)]

    assert shaded() == [False, True]
    box.evaluate("table => table.scrollLeft = table.scrollWidth")
    assert shaded() == [True, False]
