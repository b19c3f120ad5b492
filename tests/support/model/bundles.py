"""Bundles, and who may see what is in them."""

from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import rule

from drive.errors import Code
from drive.peers.seed import REALM_ID
from support.model.files import PASSCODE
from support.model.machine import ACCOUNT, INDEX, PAGE, STRANGER, Machine, same, some_bundle
from support.model.values import LATER, MEMBERS, MOST_WRONG, PAST, READERS, Bundle

ROOT = "/api/bundles"
GIVEN = {
    "slug": ["one", "two"],
    "name": ["Bundle", "é"],
    "description": ["", "Some files."],
    "passcode": ["pass", "code", ""],
    "expired_at": [LATER, ""],
    "realm_id": [REALM_ID, ""],
}
BODY = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in GIVEN.items()})
WRONG = "wrong"


class BundleRules(Machine):
    """Creates, changes, deletes and visits bundles."""

    @rule(account=ACCOUNT, body=BODY)
    def create_bundle(self, account: str, body: dict[str, str]) -> None:
        """Choosing a slug takes a subscription, sharing with a realm being a member."""
        code = self._refusal(account, body)
        answer = self.ask(account, "POST", ROOT, code, json=body)
        if code is None:
            shown = answer.json
            bundle = Bundle(
                shown["id"],
                account,
                body.get("slug", shown["slug"]),
                body.get("name", "Unnamed Bundle"),
                body.get("description", ""),
                body.get("passcode") or None,
                body.get("expired_at") or None,
                body.get("realm_id") or None,
            )
            self._is_bundle(shown, bundle)
            self.world.bundles.append(bundle)

    @some_bundle
    @rule(number=INDEX, stranger=STRANGER, body=BODY)
    def change_bundle(self, number: int, stranger: str, body: dict[str, str]) -> None:
        bundle = self.live_bundle(number)
        code = self._refusal(bundle.owner, body, bundle)
        answer = self.owned(bundle.owner, stranger, "PUT", f"{ROOT}/{bundle.id}", code, json=body)
        if code is not None:
            return
        for name, value in body.items():
            setattr(bundle, name, value if name in {"name", "description", "slug"} else value or None)
        if "passcode" in body:
            bundle.is_known = False
        self._is_bundle(answer.json, bundle)

    @some_bundle
    @rule(number=INDEX, stranger=STRANGER)
    def delete_bundle(self, number: int, stranger: str) -> None:
        """Its files are in the recycle bin then."""
        bundle = self.live_bundle(number)
        self.owned(bundle.owner, stranger, "DELETE", f"{ROOT}/{bundle.id}", status=204)
        self.world.delete_bundle(bundle)
        self.ask(bundle.owner, "GET", f"{ROOT}/{bundle.id}", Code.NOT_FOUND)

    @some_bundle
    @rule(number=INDEX)
    def let_bundle_end(self, number: int) -> None:
        bundle = self.live_bundle(number)
        query = "update bundles set expired_at = $2::text::timestamptz where id = $1"
        self.run(self.running.rows.execute(query, bundle.id, PAST))
        bundle.expired_at = PAST

    @some_bundle
    @rule(number=INDEX, passcode=PASSCODE, by_slug=st.booleans(), in_query=st.booleans(), page=PAGE)
    def visit(self, number: int, passcode: str | None, by_slug: bool, in_query: bool, page: tuple[int, int]) -> None:
        """Whoever may see a bundle sees it with its files, as far as those are for him."""
        bundle = self.live_bundle(number)
        given = bundle.passcode if passcode == "right" and bundle.passcode else passcode
        query = {"offset": str(page[0]), "take": str(page[1])} | ({"passcode": given} if given and in_query else {})
        headers = {"X-Passcode": given} if given and not in_query else {}
        path = f"{ROOT}/by-slug/{bundle.slug}" if by_slug else f"{ROOT}/{bundle.id}"
        for reader in READERS:
            code = self.world.bundle_reading(bundle, reader, given)
            answer = self.ask(reader, "GET", f"{path}?{urlencode(query)}", code, headers=headers)
            if code is None:
                files = self.world.shown_in(bundle, reader)
                same(answer.headers["X-Total"], str(len(files)), "total")
                self._is_bundle(answer.json, bundle)
                self.are_files(answer.json["files"], files[page[0] : page[0] + page[1]])

    @some_bundle
    @rule(number=INDEX, times=st.integers(1, MOST_WRONG + 1))
    def guess(self, number: int, times: int) -> None:
        """After too many wrong passcodes no other is tried for a minute."""
        bundle = self.live_bundle(number)
        for _ in range(times):
            code = self.world.bundle_reading(bundle, None, WRONG)
            self.ask(None, "GET", f"{ROOT}/{bundle.id}", code, headers={"X-Passcode": WRONG})

    @rule()
    def wait_a_minute(self) -> None:
        """Wrong passcodes are forgotten."""
        self.running.clock.now_s += 61

    @rule(account=ACCOUNT, part=st.sampled_from([None, "UNNAMED", "é"]), page=PAGE)
    def list_bundles(self, account: str, part: str | None, page: tuple[int, int]) -> None:
        bundles = [it for it in self.world.bundles_of(account) if part is None or part.lower() in it.name.lower()][::-1]
        query = {"offset": page[0], "take": page[1], "term": part or ""}
        answer = self.ask(account, "GET", f"{ROOT}/me?{urlencode(query)}")
        same(answer.headers["X-Total"], str(len(bundles)), "total")
        shown = bundles[page[0] : page[0] + page[1]]
        same([one["id"] for one in answer.json], [bundle.id for bundle in shown], "bundles")
        for one, bundle in zip(answer.json, shown, strict=True):
            self._is_bundle(one, bundle)

    def _refusal(self, account: str, body: dict[str, str], bundle: Bundle | None = None) -> Code | None:
        slug = body.get("slug")
        is_new = slug is not None and (bundle is None or slug != bundle.slug)
        if is_new and account == "plain":
            return Code.FORBIDDEN
        if body.get("realm_id") and account not in MEMBERS:
            return Code.NOT_FOUND
        return Code.CONFLICT if is_new and slug is not None and self.world.has_slug(slug) else None

    def _is_bundle(self, shown: Any, bundle: Bundle) -> None:
        same({name: shown[name] for name in bundle.shown}, bundle.shown, "bundle")
