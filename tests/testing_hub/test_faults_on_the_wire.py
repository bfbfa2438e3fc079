"""Each fault does on the wire what its docstring says; raw sockets and http.client judge."""

from __future__ import annotations

import gzip
import http.client
import socket
import zlib

import httpx
import pytest

from torchinf_core.testing import Fault, Hub, Request, faults

DATA = bytes(range(256)) * 200 + b"end"
HALF = len(DATA) // 2


def raw(
    hub: Hub, *headers: str, path: str = "/m", enough: int | None = None
) -> tuple[bytes, bytes, str]:
    """Head, body and how the connection ended.

    ``fin``, ``rst``, or ``open`` when nothing more comes after ``enough`` bytes of body.
    """
    url = httpx.URL(hub.url())
    lines = [f"GET {path} HTTP/1.1", "Host: x", *headers]
    with socket.create_connection(("127.0.0.1", url.port)) as sock:
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        got, ending = b"", "open"
        try:
            while True:
                body = got.partition(b"\r\n\r\n")[2]
                sock.settimeout(0.2 if enough is not None and len(body) >= enough else 30)
                if not (block := sock.recv(1 << 16)):
                    ending = "fin"
                    break
                got += block
        except ConnectionResetError:
            ending = "rst"
        except TimeoutError:
            pass
    head, _, body = got.partition(b"\r\n\r\n")
    return head, body, ending


def get(hub: Hub, path: str = "/m", **headers: str) -> httpx.Response:
    fields = {"Accept-Encoding": "identity"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.Client(trust_env=False) as client:
        return client.get(hub.url(path), headers=fields)


def statuses(hub: Hub, count: int, **headers: str) -> list[int]:
    return [get(hub, **headers).status_code for _ in range(count)]


@pytest.fixture(autouse=True)
def content(hub: Hub) -> None:
    hub.add("/m", DATA, etag="one")


# QUEUES


def test_a_queue_of_faults_is_worked_off_and_then_all_is_well(hub: Hub) -> None:
    hub.fail("/m", faults.status(503).repeat(2), faults.fine(), faults.status(502))
    assert statuses(hub, 5) == [503, 503, 200, 502, 200]


def test_a_fault_that_applies_always_stays(hub: Hub) -> None:
    hub.fail("/m", faults.status(503).always())
    assert statuses(hub, 3) == [503, 503, 503]


def test_every_nth_request_is_spoilt(hub: Hub) -> None:
    hub.fail("/m", faults.status(503).every(3))
    assert statuses(hub, 7) == [200, 200, 503, 200, 200, 503, 200]


def test_a_fault_waits_for_a_request_that_it_applies_to(hub: Hub) -> None:
    hub.fail("/m", faults.wrong_start())
    hub.fail("/m", faults.status(500).on(lambda request: "X-Now" in request.headers))
    assert statuses(hub, 1) == [200]
    assert statuses(hub, 1, X_Now="1") == [500]
    assert get(hub, Range="bytes=5-").headers["Content-Range"].startswith("bytes 1005-")
    assert get(hub, Range="bytes=5-").content == DATA[5:]


def test_head_requests_pass_the_faults_of_bodies_by(hub: Hub) -> None:
    hub.fail("/m", faults.cut())
    with httpx.Client(trust_env=False) as client:
        assert client.head(hub.url("/m")).status_code == 200
    assert raw(hub)[1] == DATA[:HALF]


def test_faults_of_every_path_apply_where_none_of_its_own_are_programmed(hub: Hub) -> None:
    hub.add("/n", DATA)
    hub.fail("*", faults.status(503).always())
    hub.fail("/n", faults.status(418))
    assert get(hub, "/m").status_code == 503
    assert get(hub, "/n").status_code == 418


def test_own_faults_are_one_line(hub: Hub) -> None:
    hub.fail("/m", Fault("teapot", lambda request, reply: reply.having("X-Tea", request.method)))
    assert get(hub).headers["X-Tea"] == "GET"


# CONNECTIONS


@pytest.mark.parametrize(
    ("fault", "ending"),
    [(faults.cut, "fin"), (faults.reset, "rst"), (faults.stall, "open")],
)
@pytest.mark.parametrize(("at", "count"), [(0.5, HALF), (100, 100), (0, 0), (10**9, len(DATA))])
def test_bodies_stop_at_the_byte_and_in_the_way_they_should(
    hub: Hub, fault, ending: str, at: float, count: int
) -> None:
    hub.fail("/m", fault(at))
    head, body, how = raw(hub, enough=count)
    assert b"Content-Length: %d" % len(DATA) in head
    assert body == DATA[:count]
    assert how == ending
    assert hub.bytes_sent("/m") == count


def test_a_reset_body_of_a_file_arrives_up_to_the_reset(hub: Hub, tmp_path) -> None:
    (tmp_path / "f").write_bytes(DATA * 40)
    hub.add("/f", tmp_path / "f")
    hub.fail("/f", faults.reset(0.5))
    _, body, how = raw(hub, path="/f")
    assert (body, how) == ((DATA * 40)[: 20 * len(DATA)], "rst")


def test_a_part_is_cut_at_a_fraction_of_the_part(hub: Hub) -> None:
    hub.fail("/m", faults.cut(0.5))
    assert raw(hub, "Range: bytes=100-199")[1] == DATA[100:150]


def test_a_vanishing_server_sends_nothing(hub: Hub) -> None:
    hub.fail("/m", faults.vanish())
    assert raw(hub) == (b"", b"", "fin")
    assert hub.requests[0].status == 0


def test_a_silent_server_sends_nothing_and_stays(hub: Hub) -> None:
    hub.fail("/m", faults.silence())
    assert raw(hub, enough=0) == (b"", b"", "open")


def test_a_trickle_comes_byte_by_byte(hub: Hub) -> None:
    hub.fail("/m", faults.trickle(20))
    with httpx.Client(trust_env=False) as client, client.stream("GET", hub.url("/m")) as reply:
        blocks = reply.iter_raw()
        got = [next(blocks) for _ in range(4)]
    assert b"".join(got) == DATA[: sum(map(len, got))]
    assert sum(map(len, got)) < 20


# RANGES


def test_an_ignored_range_brings_the_whole(hub: Hub) -> None:
    hub.fail("/m", faults.ignore_range())
    reply = get(hub, Range="bytes=5-9")
    assert (reply.status_code, reply.content) == (200, DATA)
    assert not {"Content-Range", "Accept-Ranges"} & {name.title() for name in reply.headers}


def test_wrong_parts_lie_in_their_bytes_or_in_their_headers(hub: Hub) -> None:
    total = len(DATA)
    expected = [
        (faults.wrong_start(1000), DATA[1005:2000], f"bytes 1005-1999/{total}"),
        (faults.wrong_part(1000), DATA[1005:3000], f"bytes 5-1999/{total}"),
        (faults.other_total(7), DATA[5:2000], f"bytes 5-1999/{total + 7}"),
        (faults.short_part(0.2), DATA[5:404], f"bytes 5-403/{total}"),
    ]
    for fault, body, span in expected:
        hub.fail("/m", fault)
        reply = get(hub, Range="bytes=5-1999")
        assert (reply.status_code, reply.headers["Content-Range"]) == (206, span)
        assert reply.content == body


def test_a_part_nobody_asked_for(hub: Hub) -> None:
    hub.fail("/m", faults.unasked_part())
    reply = get(hub)
    assert (reply.status_code, reply.content) == (206, DATA[HALF:])


def test_many_parts_hold_the_part_within(hub: Hub) -> None:
    hub.fail("/m", faults.many_parts())
    reply = get(hub, Range="bytes=5-9")
    assert reply.headers["Content-Type"].startswith("multipart/byteranges")
    assert DATA[5:10] in reply.content
    assert "Content-Range" not in reply.headers


@pytest.mark.parametrize("content_range", ["bytes */7", "bytes */*", None])
def test_an_unsatisfiable_range(hub: Hub, content_range: str | None) -> None:
    hub.fail("/m", faults.unsatisfiable(content_range))
    assert get(hub).status_code == 200
    reply = get(hub, Range="bytes=5-")
    assert (reply.status_code, reply.headers.get("Content-Range")) == (416, content_range)


# BODIES


def test_one_bit_is_flipped(hub: Hub) -> None:
    hub.fail("/m", faults.flip(0.5), faults.flip(3, mask=0x80))
    wrong = [index for index, byte in enumerate(get(hub).content) if byte != DATA[index]]
    assert wrong == [HALF]
    assert get(hub, Range="bytes=100-").content[3] == DATA[103] ^ 0x80
    assert get(hub).content == DATA


def test_every_byte_is_wrong(hub: Hub) -> None:
    hub.fail("/m", faults.garble())
    assert get(hub).content == bytes(byte ^ 0xFF for byte in DATA)


def test_another_content_heeds_if_range_or_not(hub: Hub) -> None:
    other = DATA[::-1]
    hub.fail("/m", faults.replaced_by(other), faults.replaced_by(other, heed_if_range=False))
    reply = get(hub, Range="bytes=5-", If_Range='"one"')
    assert (reply.status_code, reply.content, reply.headers["ETag"]) == (200, other, '"other"')
    reply = get(hub, Range="bytes=5-", If_Range='"one"')
    assert (reply.status_code, reply.content) == (206, other[5:])


def test_validators_are_exchanged_or_missing(hub: Hub) -> None:
    hub.fail("/m", faults.validators(), faults.validators(etag='W/"w"'))
    reply = get(hub)
    assert not {"etag", "last-modified"} & set(reply.headers)
    assert get(hub).headers["ETag"] == 'W/"w"'


def test_an_empty_body_and_the_page_of_a_portal(hub: Hub) -> None:
    hub.fail("/m", faults.empty(), faults.portal())
    reply = get(hub, Range="bytes=5-")
    assert (reply.status_code, reply.content, reply.headers["Content-Length"]) == (200, b"", "0")
    reply = get(hub, Range="bytes=5-")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/html")
    assert reply.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("declared", [False, True])
def test_an_endless_body_goes_on_until_the_client_leaves(hub: Hub, declared: bool) -> None:
    hub.fail("/m", faults.endless(declared))
    with httpx.Client(trust_env=False) as client, client.stream("GET", hub.url("/m")) as reply:
        assert reply.headers.get("Content-Length") == (str(1 << 60) if declared else None)
        got = 0
        for block in reply.iter_raw():
            got += len(block)
            if got > 20_000_000:
                break
    assert got > 20_000_000


def test_gzipped_bodies_decode_to_the_content(hub: Hub) -> None:
    hub.fail("/m", faults.gzipped().repeat(2), faults.gzipped_part())
    assert get(hub).content == DATA
    body = raw(hub, "Range: bytes=5-", "Connection: close")[1]
    assert gzip.decompress(body) == DATA
    assert raw(hub, "Range: bytes=5-", "Connection: close")[1] == body[5:]


def test_a_bomb_is_small_and_decodes_to_much(hub: Hub) -> None:
    hub.fail("/m", faults.bomb(1 << 28))
    body = raw(hub, "Connection: close")[1]
    assert len(body) < 1 << 20
    decoder, total, rest = zlib.decompressobj(31), 0, body
    while rest and total < 1 << 27:
        total += len(decoder.decompress(rest, 1 << 22))
        rest = decoder.unconsumed_tail
    assert total >= 1 << 27


# HEADS


def test_a_status_with_headers(hub: Hub) -> None:
    hub.fail("/m", faults.status(429, Retry_After="2"), faults.moved("http://other/", 301))
    reply = get(hub)
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "2")
    reply = get(hub)
    assert (reply.status_code, reply.headers["Location"]) == (301, "http://other/")


@pytest.mark.parametrize("more", [-10, 10])
def test_a_claimed_length_is_not_that_of_the_body(hub: Hub, more: int) -> None:
    hub.fail("/m", faults.claim_length(more))
    head, body, how = raw(hub)
    assert b"Content-Length: %d\r\n" % (len(DATA) + more) in head + b"\r\n"
    assert (body, how) == (DATA, "fin")


def test_no_length_ends_with_the_connection(hub: Hub) -> None:
    hub.fail("/m", faults.no_length(), faults.together(faults.no_length(), faults.cut(0.5)))
    head, body, how = raw(hub)
    assert b"Content-Length" not in head
    assert (body, how) == (DATA, "fin")
    assert raw(hub)[1:] == (DATA[:HALF], "fin")


def test_chunks_are_right_or_lack_their_end(hub: Hub) -> None:
    hub.fail("/m", faults.chunked(), faults.together(faults.chunked(), faults.cut(0.5)))
    reply = get(hub)
    assert (reply.headers["Transfer-Encoding"], reply.content) == ("chunked", DATA)
    connection = http.client.HTTPConnection("127.0.0.1", httpx.URL(hub.url()).port)
    connection.request("GET", "/m")
    with pytest.raises(http.client.IncompleteRead) as caught:
        connection.getresponse().read()
    connection.close()
    assert caught.value.partial == DATA[:HALF]


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (faults.header("Content-Disposition", 'attachment; filename="../../x"'), b"../../x"),
        (faults.header("Content-Disposition", 'attachment; filename="\U0001f600"'), b"\xf0\x9f"),
        (faults.header("X-Nul", "a\0b"), b"a\0b"),
        (faults.many_headers(), b"X-99999: x"),
        (faults.big_header(), b"x" * (1 << 20)),
    ],
)
def test_headers_go_out_as_they_are(hub: Hub, fault: Fault, shown: bytes) -> None:
    hub.fail("/m", fault)
    assert shown in raw(hub, "Connection: close")[0]


def test_what_is_no_http_comes_first(hub: Hub) -> None:
    hub.fail("/m", faults.not_http())
    assert raw(hub)[0].startswith(b"\x16\x03SSH")


def test_interim_replies_come_before_the_real_one(hub: Hub) -> None:
    hub.fail("/m", faults.early_hints())
    assert get(hub).content == DATA
    hub.fail("/m", faults.early_hints())
    assert raw(hub, "Connection: close")[0] == b"HTTP/1.1 100 Continue"


def test_a_second_reply_lies_behind_the_first(hub: Hub) -> None:
    hub.fail("/m", faults.smuggled(b"evil"))
    _, body, how = raw(hub, enough=len(DATA) + 42)
    assert body == DATA + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    assert how == "open"


@pytest.mark.parametrize("name", sorted(faults.CATALOGUE))
def test_each_fault_of_the_catalogue_changes_some_reply(hub: Hub, name: str) -> None:
    fault = faults.CATALOGUE[name]()
    changed = []
    for headers in ({}, {"Range": "bytes=100-"}):
        request = Request("GET", "/m", "", faults_headers(headers))
        if fault.applies(request):
            honest = hub._honest(request)
            changed.append(fault.change(request, honest) != honest)
    assert any(changed) == (name != "fine")


def faults_headers(pairs: dict[str, str]):
    from torchinf_core.testing.messages import Headers

    return Headers(tuple(pairs.items()))
