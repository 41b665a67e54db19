"""The fictional projects of the synthetic corpus and the shared words that their code is named with."""

import random
from dataclasses import dataclass

DOMAINS: dict[str, str] = {
    "trade": "order invoice product customer coupon receipt payment refund basket vendor",
    "freight": "parcel truck route depot driver pallet shipment crate label dock",
    "health": "patient dose ward visit clinic nurse sample vaccine bed chart",
    "media": "track album song playlist episode channel clip artist stream genre",
    "field": "sensor probe reading signal beacon meter alarm device gauge channel",
    "school": "student lesson course grade teacher exam topic essay tutor badge",
    "travel": "flight ticket hotel guest booking seat cabin trip luggage gate",
    "kitchen": "recipe dish menu spice oven plate meal cook table pantry",
    "garden": "plant seed plot tree leaf fence shed flower pond tool",
    "office": "task memo report agenda desk project member team badge folder",
    "game": "player card hero quest monster weapon guild piece round arena",
    "archive": "book page shelf author chapter loan reader note letter scroll",
}

TOWNS = (
    "amber brook cedar delta ember flint grove hazel iris jade kite linden maple north onyx pearl "
    "quartz river slate topaz umber violet willow zephyr copper silver cobalt coral ivory olive "
    "alpha bravo echo nova orion polar rapid solar tango vista apple lemon mango peach"
)

QUALIFIERS = "Main Daily Local Simple Basic Active Open Fast Small Central Remote Shared Default Weekly"
AMOUNTS = "weight count total limit score price quantity level rank amount size length width height volume budget"
MEASURES = "rate ratio distance speed temperature area cost load share yield"

PROJECT_NAMES: dict[str, tuple[str, str]] = {
    "acme-billing": ("trade", "office"),
    "corner-shop": ("trade", "kitchen"),
    "market-square": ("trade", "freight"),
    "coupon-desk": ("trade", "media"),
    "harbor-logistics": ("freight", "trade"),
    "last-mile": ("freight", "field"),
    "dock-planner": ("freight", "office"),
    "cargo-ledger": ("freight", "archive"),
    "ward-keeper": ("health", "office"),
    "clinic-desk": ("health", "school"),
    "lab-samples": ("health", "field"),
    "tune-box": ("media", "game"),
    "stream-deck": ("media", "field"),
    "radio-tower": ("media", "archive"),
    "probe-net": ("field", "freight"),
    "storm-watch": ("field", "travel"),
    "grid-meter": ("field", "garden"),
    "campus-core": ("school", "archive"),
    "exam-hall": ("school", "office"),
    "tutor-hub": ("school", "media"),
    "sky-booker": ("travel", "trade"),
    "inn-keeper": ("travel", "kitchen"),
    "rail-pass": ("travel", "freight"),
    "trip-notes": ("travel", "archive"),
    "chef-board": ("kitchen", "trade"),
    "oven-timer": ("kitchen", "field"),
    "meal-plan": ("kitchen", "health"),
    "seed-bank": ("garden", "archive"),
    "green-plot": ("garden", "field"),
    "park-ranger": ("garden", "travel"),
    "team-tracker": ("office", "game"),
    "memo-board": ("office", "school"),
    "desk-share": ("office", "travel"),
    "quest-forge": ("game", "media"),
    "card-table": ("game", "kitchen"),
    "guild-house": ("game", "trade"),
    "level-up": ("game", "school"),
    "open-shelf": ("archive", "media"),
    "page-turner": ("archive", "school"),
    "book-depot": ("archive", "freight"),
}
"""Each project with the domain that most of its nouns come from and the one that the others come from."""


@dataclass(frozen=True, slots=True)
class Project:
    """A fictional project: its place in the list, and the part of the shared vocabulary that it uses."""

    name: str
    number: int
    nouns: tuple[str, ...]
    qualifiers: tuple[str, ...]
    amounts: tuple[str, ...]
    measures: tuple[str, ...]
    values: tuple[str, ...]


def _project(number: int, name: str, first: str, second: str) -> Project:
    rng = random.Random(f"project/{name}")
    own, borrowed = DOMAINS[first].split(), DOMAINS[second].split()
    nouns = dict.fromkeys(rng.sample(own, 7) + rng.sample(borrowed, 4))
    return Project(
        name,
        number,
        tuple(nouns),
        tuple(rng.sample(sorted(set(QUALIFIERS.split())), 4)),
        tuple(rng.sample(AMOUNTS.split(), 7)),
        tuple(rng.sample(MEASURES.split(), 5)),
        tuple(rng.sample(TOWNS.split(), 16)),
    )


PROJECTS: tuple[Project, ...] = tuple(
    _project(number, name, *domains) for number, (name, domains) in enumerate(PROJECT_NAMES.items())
)
