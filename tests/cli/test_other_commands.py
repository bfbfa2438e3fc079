"""cache, gc, fsck, search, plugins, config, doctor."""

import json

import pytest

from torchinf_core import __version__


def test_cache_says_where_and_how_much(stocked, torchinf, store):
    ran = torchinf("cache")
    assert ran.status == 0
    assert str(store) in ran.out
    assert "$TORCHINF_CACHE_DIR" in ran.out
    document = torchinf("cache", "--json").document
    assert document["cache_directory"] == str(store)
    assert document["total_models"] == 2
    assert document["by_source"] == {"zoo": 10_008}
    assert document["total_size"] >= 10_008


def test_an_absent_store_has_nothing_and_is_not_made(torchinf, store):
    assert torchinf("cache", "--json").document["total_models"] == 0
    assert torchinf("gc").status == 0
    assert torchinf("fsck").status == 0
    assert not store.exists()


def test_gc_sets_aside_what_is_unused(stocked, torchinf):
    assert torchinf("gc", "--dry-run", "--json").document["dry_run"]
    ran = torchinf("gc")
    assert ran.status == 0
    assert "freed" in ran.out
    assert torchinf("verify", "--all").status == 0


def test_fsck_finds_and_repairs(stocked, torchinf, store):
    assert torchinf("fsck").out == "the store is whole\n"
    (record,) = (store / "records").glob("tiny-*")
    record.write_bytes(b"{")
    ran = torchinf("fsck")
    assert ran.status == 6
    assert "torchinf fsck --repair" in ran.err
    assert torchinf("fsck", "--repair").status == 0
    assert torchinf("fsck").status == 0
    assert torchinf("list", "-q").out == "pair\n"
    assert torchinf("download", "zoo:tiny").status == 0


def test_search_prints_references_one_can_download(stocked, torchinf):
    ran = torchinf("search", "zoo", "tin*")
    assert ran.status == 0
    assert "zoo:tiny" in ran.out
    assert torchinf("search", "zoo", "-q").out == "zoo:pair\nzoo:tiny\n"
    assert [hit["ref"] for hit in torchinf("search", "zoo", "--json").document] == [
        "zoo:pair",
        "zoo:tiny",
    ]
    one = torchinf("search", "zoo", "--limit", "1")
    assert "--limit" in one.err
    assert torchinf("search", "zoo", "elephant").out == ""
    assert torchinf("search", "nosuch", "x").status == 9
    assert torchinf("search", "zoo", "--offline").status == 4


def test_plugins_shows_what_is_installed(zoo, torchinf):
    ran = torchinf("plugins")
    assert ran.status == 0
    assert "zoo menagerie" in ran.out
    (row,) = [row for row in torchinf("plugins", "--json").document if row["name"] == "zoo"]
    assert (row["state"], row["distribution"], row["version"]) == ("ok", "zoo-of-the-tests", "1.0")
    one = torchinf("plugins", "zoo")
    assert "torchinf download zoo:tiny" in one.out
    assert torchinf("plugins", "zoo", "--json").document["sources"][0]["searchable"]
    assert torchinf("plugins", "nosuch").status == 3


def test_first_party_plugins_that_are_absent_are_named_with_the_way_to_get_them(
    zoo, torchinf, monkeypatch
):
    from torchinf_core.known import FirstParty

    ghost = FirstParty("ghost", ("ghost",), "Ghosts")
    monkeypatch.setattr("torchinf_core.known.FIRST_PARTY", (ghost,))
    ran = torchinf("plugins")
    assert "not installed" in ran.out
    assert "pip install 'torchinf[ghost]'" in ran.err


def test_config_shows_every_setting_and_where_it_comes_from(torchinf, store, monkeypatch, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('retries = 3\n[tokens]\n"hub.example" = "s3cr3t"\n')
    monkeypatch.setenv("TORCHINF_CONFIG", str(file))
    monkeypatch.setenv("TORCHINF_CONNECTIONS", "4")
    document = torchinf("config", "--json").document
    settings = document["settings"]
    assert document["file"] == str(file)
    assert settings["retries"] == {"value": 3, "origin": str(file)}
    assert settings["connections"] == {"value": 4, "origin": "$TORCHINF_CONNECTIONS"}
    assert settings["offline"] == {"value": False, "origin": "default"}
    assert settings["tokens"]["value"] == {"hub.example": "***"}
    argument = torchinf("config", "--cache-dir", "/x", "--json").document["settings"]
    assert argument["cache_dir"] == {"value": "/x", "origin": "argument"}
    ran = torchinf("config")
    assert "s3cr3t" not in ran.out
    assert str(file) in ran.err


def test_a_wrong_setting_is_a_usage_error_that_names_its_place(torchinf, monkeypatch):
    monkeypatch.setenv("TORCHINF_CONNECTIONS", "many")
    ran = torchinf("list")
    assert ran.status == 2
    assert "$TORCHINF_CONNECTIONS" in ran.err


def test_doctor_looks_at_everything_and_sends_nothing(stocked, torchinf):
    seen = len(stocked.asked)
    ran = torchinf("doctor", "--json")
    assert ran.status == 0, ran.out
    checks = {finding["check"]: finding for finding in ran.document}
    assert {"program", "store", "disk", "locks", "tls", "proxy", "plugins"} <= checks.keys()
    assert checks["store"]["state"] == "ok"
    assert "2 models" in checks["store"]["detail"]
    assert len(stocked.asked) == seen
    assert "2 models" in torchinf("doctor").out


def test_doctor_tells_what_is_wrong_and_fails(stocked, torchinf, store, monkeypatch, tmp_path):
    (record,) = (store / "records").glob("tiny-*")
    record.write_bytes(b"{")
    broken = tmp_path / "ca.pem"
    broken.write_text("nothing")
    monkeypatch.setenv("TORCHINF_CA_FILE", str(broken))
    ran = torchinf("doctor")
    assert ran.status == 6
    assert "torchinf fsck --repair" in ran.out
    assert "ca.pem" in ran.out


@pytest.mark.parametrize("place", ["file", "link"])
def test_a_store_that_is_no_directory_is_an_error_with_the_path(
    zoo, torchinf, store, tmp_path, place
):
    zoo.add("tiny", {"a": b"a"})
    if place == "file":
        store.write_text("")
    else:
        store.symlink_to(tmp_path / "nowhere" / "at-all")
    ran = torchinf("download", "zoo:tiny")
    assert ran.status == 6
    assert str(store) in ran.err
    assert zoo.fetched == []


def test_version_is_the_versions_word(torchinf):
    assert torchinf("--version").out == f"torchinf {__version__}\n"
    assert torchinf("-V").out == f"torchinf {__version__}\n"


def test_json_documents_are_ascii_and_whole(stocked, torchinf):
    for argv in (["list"], ["info", "tiny"], ["cache"], ["config"], ["doctor"], ["plugins"]):
        ran = torchinf(*argv, "--json")
        assert ran.out.isascii()
        json.loads(ran.out)


def test_a_broken_plugin_costs_one_line(zoo, torchinf, tmp_path, monkeypatch):
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('no')\n")
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[torchinf.v1]\nbroken = broken_plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    zoo.add("tiny", {"a": b"a"})
    ran = torchinf("download", "zoo:tiny")
    assert ran.status == 0
    (warning,) = [line for line in ran.err.splitlines() if line.startswith("warning: ")]
    assert "'broken'" in warning
    assert "Traceback" not in ran.err
    assert "warning" not in torchinf("download", "zoo:tiny").err
    assert torchinf("doctor").status == 9
    assert "broken" in torchinf("plugins").out
