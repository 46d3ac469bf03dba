"""What was made before, within bounds."""

from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.speech.cache import Cache


def test_what_was_used_last_stays() -> None:
    cache: Cache[str, str] = Cache(100)
    for n in range(10):
        cache.put(f"{n}", "x", 10)
    assert cache.get("0") == "x"
    cache.put("new", "x", 10)
    assert cache.get("0") == "x"
    assert cache.get("1") is None
    assert (cache.hits, cache.misses) == (2, 1)


def test_nothing_big_drives_out_everything_else() -> None:
    cache: Cache[str, str] = Cache(100)
    cache.put("big", "x", 11)
    assert cache.get("big") is None
    off: Cache[str, str] = Cache(0)
    off.put("a", "x", 1)
    assert off.get("a") is None


@given(some.lists(some.tuples(some.integers(0, 5), some.integers(0, 12)), max_size=60))
def test_it_never_holds_more_than_it_may(puts: list[tuple[int, int]]) -> None:
    cache: Cache[int, int] = Cache(60)
    sizes: dict[int, int] = {}
    for key, size in puts:
        cache.put(key, size, size)
        sizes[key] = size if size <= 6 else sizes.get(key, 0)
        assert sum(sizes[k] for k in sizes if cache.get(k) is not None) <= 60
