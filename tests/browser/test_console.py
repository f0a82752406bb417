"""The console in Chromium: what auditors and operators do there, by mouse and by keyboard, at two widths."""

import csv
import json

import httpx
from tests.browser.people import (
    DOUBTFUL,
    ENVIRONMENT,
    FRESH_NIK,
    LONG_NAME,
    LONG_NIK,
    MERGED,
    NEWCOMERS,
    OTHER_FRESH_NIK,
    UNDONE_NIK,
)
from tests.browser.visiting import PATIENCE
from tests.fakes.duplicated_people import OTHER_NIK
from tests.fakes.merging_place import everything, fill

UNAUTHORISED = "status of 401"


def search(page, nik):
    page.get_by_label("NIK").fill(nik)
    page.get_by_role("button", name="Find").click()


def test_an_auditor_looks_a_merge_up_by_nik(sized_visitor):
    page = sized_visitor.log_in("auditor")
    sized_visitor.picture("merges")
    search(page, LONG_NIK)
    page.get_by_text("What was found").wait_for()
    sized_visitor.picture("found")
    page.get_by_role("link", name="Merge 2").click()
    page.get_by_role("heading", name="Before and after").wait_for()
    sized_visitor.picture("merge")
    assert LONG_NAME in page.inner_text("main")
    assert page.get_by_role("button", name="Undo").count() == 0
    assert page.locator("td.before", has_text="true").count() >= 1
    assert page.locator("td.after", has_text="false").count() >= 1


def test_nothing_found_is_said(sized_visitor):
    page = sized_visitor.log_in("auditor")
    search(page, "3303021107190009")
    page.get_by_text("No merge fits.").wait_for()
    sized_visitor.picture("nothing-found")


def test_a_wrong_key_is_told(sized_visitor):
    sized_visitor.expected = (UNAUTHORISED,)
    page = sized_visitor.page
    page.goto("/console")
    page.get_by_label("Environment").fill("purbalingga")
    page.get_by_label("Access key").fill("fgk-wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").wait_for()
    assert "no valid key" in page.get_by_role("alert").inner_text()
    sized_visitor.picture("wrong-key")


def test_what_is_no_nik_is_told(sized_visitor):
    sized_visitor.expected = ("status of 422",)
    page = sized_visitor.log_in()
    search(page, "12345")
    page.get_by_role("alert").wait_for()
    sized_visitor.picture("no-nik")


def test_the_login_hangs_on_a_cookie_that_scripts_and_other_sites_cannot_use(visitor):
    visitor.log_in()
    (cookie,) = visitor.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/console")
    assert cookie["expires"] == -1


def test_a_proxy_on_this_machine_says_that_clients_speak_tls(served):
    said = httpx.get(f"{served.url}/console/login", headers={"X-Forwarded-Proto": "https"}, trust_env=False)
    assert "Secure" in said.headers["set-cookie"]
    assert "strict-transport-security" in said.headers
    assert "strict-transport-security" not in httpx.get(f"{served.url}/console/login", trust_env=False).headers


def test_a_login_whose_cookie_is_gone_leads_to_the_form(visitor):
    page = visitor.log_in()
    visitor.context.clear_cookies()
    page.get_by_role("link", name="Merge 1").click()
    page.get_by_role("heading", name="Log in").wait_for()


def test_logging_out_leaves_nothing_behind(visitor):
    page = visitor.log_in()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Log in").wait_for()
    page.go_back()
    page.get_by_role("heading", name="Log in").wait_for()


def test_the_history_is_exported(visitor):
    page = visitor.log_in("auditor")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as JSON").click()
    assert download.value.suggested_filename == "merges-purbalingga.json"
    merges = json.loads(download.value.path().read_text())
    assert {each["nik"] for each in merges} >= set(MERGED)
    search(page, LONG_NIK)
    page.get_by_text("What was found").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        assert [row["nik"] for row in csv.DictReader(file)] == [LONG_NIK]


def test_an_operator_undoes_a_merge(visitor):
    page = visitor.log_in()
    search(page, UNDONE_NIK)
    page.get_by_role("link", name="Merge 3").click()
    page.get_by_role("button", name="Undo this merge").click()
    page.get_by_label("Reason").wait_for(timeout=PATIENCE)
    visitor.picture("undo")
    page.get_by_label("Reason").fill("two sisters")
    page.get_by_role("button", name="Undo merge 3").click()
    page.get_by_text("Merge 3 was taken apart").wait_for(timeout=PATIENCE)
    visitor.picture("undone")
    assert "two sisters" in page.inner_text("main")


def test_conflicts_of_an_undoing_are_decided_one_by_one(visitor, served):
    moved = everything(served.home, ENVIRONMENT)["Observation/o2-p2"] | {"subject": {"reference": "Patient/p9"}}
    fill(served.home, [moved], ENVIRONMENT)
    page = visitor.log_in()
    page.get_by_role("link", name="Merge 1").click()
    page.get_by_role("button", name="Undo this merge").click()
    page.get_by_role("button", name="Undo merge 1").wait_for(timeout=PATIENCE)
    visitor.picture("undo-with-conflicts")
    assert page.get_by_role("heading", name="To be decided").count() == 1
    page.get_by_label("Reason").fill("two people")
    page.get_by_role("button", name="Undo merge 1").click()
    assert page.get_by_role("radio").first.evaluate("one => !one.checkValidity()")
    assert page.get_by_role("heading", name="To be decided").count() == 1


def test_the_console_is_used_by_keyboard_alone(visitor):
    page = visitor.page
    page.goto("/console")
    page.locator("#environment:focus").wait_for()  # given by the page itself, perhaps after it has loaded
    page.keyboard.type("purbalingga")
    page.keyboard.press("Tab")
    page.keyboard.type(visitor.keys["operator"])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Merges", exact=True).wait_for()
    tab_to(page, "Skip to the content")
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash")
    page.keyboard.press("Tab")
    page.keyboard.type(LONG_NIK)
    page.keyboard.press("Enter")
    page.get_by_text("What was found").wait_for()
    tab_to(page, "Merge 2")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Before and after").wait_for()


def tab_to(page, words):
    """Press Tab until the element that begins with these words has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText || ''").startswith(words):
            return
    raise AssertionError(f"{words} cannot be reached by Tab")


def test_text_stands_out_from_its_ground(sized_visitor):
    page = sized_visitor.log_in("auditor")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto("/console/merges/2")
        poor = page.evaluate(CONTRASTS)
        assert poor == [], scheme
        sized_visitor.picture(f"merge-{scheme}")


CONTRASTS = """() => {
  const numbers = (css) => css.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    const [one, other] = [light(numbers(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
    if ((one + 0.05) / (other + 0.05) < 4.5) poor.add(`${element.tagName}.${element.className}`);
  }
  return [...poor];
}"""
"""Elements whose text has a contrast below 4.5 to 1 (WCAG 2.2, success criterion 1.4.3)."""


def test_an_auditor_verifies_the_history(sized_visitor):
    page = sized_visitor.log_in("auditor")
    page.get_by_role("link", name="Verification").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download a checkpoint").click()
    page.get_by_label("A checkpoint").fill(download.value.path().read_text())
    page.get_by_role("button", name="Verify").click()
    page.get_by_text("The history is unaltered").wait_for(timeout=PATIENCE)
    sized_visitor.picture("verification")


def test_a_proof_is_downloaded(visitor):
    page = visitor.log_in("auditor")
    page.get_by_role("link", name="Merge 1").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the proof").click()
    assert json.loads(download.value.path().read_text())["merge"] == 1


def test_an_operator_finds_plans_and_merges(sized_visitor, size):
    nik = {"desk": FRESH_NIK, "phone": OTHER_FRESH_NIK}[size]
    page = sized_visitor.log_in()
    page.get_by_role("link", name="Duplicates").click()
    page.get_by_text("Nobody has looked").or_(page.get_by_text("What was found")).wait_for()
    with page.expect_navigation(timeout=PATIENCE):  # an earlier search may have found the same people
        page.get_by_role("button", name="Look for duplicates").click()
    group = page.get_by_role("article").filter(has_text=nik[-2:]).filter(has_text=NEWCOMERS[size])
    group.wait_for(timeout=PATIENCE)
    sized_visitor.picture("duplicates")
    assert nik not in page.inner_text("main")
    group.get_by_role("button", name="Plan this merge").click()
    page.get_by_role("button", name="Merge", exact=True).wait_for(timeout=PATIENCE)
    sized_visitor.picture("plan")
    page.get_by_role("button", name="Merge", exact=True).click()
    page.get_by_role("main").get_by_role("link", name="Merge ").wait_for(timeout=PATIENCE)
    sized_visitor.picture("merged")
    page.get_by_role("main").get_by_role("link", name="Merge ").click()
    page.get_by_role("heading", name="Before and after").wait_for()


def test_conflicts_are_merged_by_who_says_to_have_looked_only(sized_visitor):
    page = sized_visitor.log_in()
    page.get_by_role("link", name="Plan", exact=True).click()
    page.get_by_label("NIKs").wait_for()
    sized_visitor.picture("plan-form")
    page.get_by_label("NIKs").fill(DOUBTFUL)
    page.get_by_role("button", name="Plan").click()
    spite = page.get_by_role("button", name="Merge in spite of the conflicts")
    spite.wait_for(timeout=PATIENCE)
    sized_visitor.picture("plan-with-conflict")
    spite.click()
    assert page.get_by_label("I have looked").evaluate("box => !box.checkValidity()")
    assert page.get_by_role("button", name="Merge", exact=True).count() == 0


def test_a_long_list_is_handed_in_as_a_job(sized_visitor):
    page = sized_visitor.log_in()
    page.get_by_role("link", name="Jobs").click()
    page.get_by_label("NIKs").fill("\n".join((DOUBTFUL, OTHER_NIK, *MERGED)))
    page.get_by_role("button", name="Hand in").click()
    page.get_by_text("finished").wait_for(timeout=PATIENCE)
    sized_visitor.picture("job")
    assert DOUBTFUL not in page.inner_text("main")
    page.get_by_role("link", name="All jobs").click()
    page.get_by_role("link", name="Job ").first.wait_for()
    sized_visitor.picture("jobs")


def test_an_auditor_sees_no_page_of_an_operator(visitor):
    visitor.expected = ("status of 403",)
    page = visitor.log_in("auditor")
    assert page.get_by_role("link", name="Duplicates").count() == 0
    for path in ("duplicates", "plans", "jobs"):
        assert page.goto(f"/console/{path}").status == 403
    visitor.picture("refused")


def test_an_operator_holds_people_who_were_found_for_different_ones(sized_visitor, size):
    page = sized_visitor.log_in()
    page.get_by_role("link", name="Duplicates").click()
    page.get_by_text("Nobody has looked").or_(page.get_by_text("What was found")).wait_for()
    with page.expect_navigation(timeout=PATIENCE):
        page.get_by_role("button", name="Look for duplicates").click()
    name = {"desk": "Wahyu", "phone": "Teguh"}[size]
    group = page.get_by_role("article").filter(has_text=name)
    group.get_by_text("They are different people").click(timeout=PATIENCE)  # not there while it is looked for
    group.get_by_label("Reason").fill("seen by the midwife")
    sized_visitor.picture("parting")
    group.get_by_role("button", name="for different people").click()
    page.get_by_text("are held for different people from now on").wait_for(timeout=PATIENCE)
    sized_visitor.picture("parted")
    assert page.get_by_role("article").filter(has_text=name).get_by_role("button").count() == 0
