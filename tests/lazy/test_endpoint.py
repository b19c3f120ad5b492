import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive.lazy import Endpoint, EndpointError


@pytest.mark.parametrize(
    ("url", "target", "secure"),
    [
        ("http://127.0.0.1:5001", "127.0.0.1:5001", False),
        ("https://pass.example:5001", "pass.example:5001", True),
        ("http://pass", "pass:80", False),
        ("https://pass", "pass:443", True),
        ("http://pass:", "pass:80", False),
        ("http://pass_1.svc.cluster.local.:80", "pass_1.svc.cluster.local.:80", False),
        ("http://[::1]:5001", "[::1]:5001", False),
        ("dns:///pass:5001", "pass:5001", False),
        ("unix:/run/pass.sock", "unix:/run/pass.sock", False),
        ("unix:/run/a@b+c=d,e:f~g", "unix:/run/a@b+c=d,e:f~g", False),
    ],
)
def test_an_endpoint_is_read_as_a_target_of_grpc(url: str, target: str, secure: bool) -> None:
    assert Endpoint.parse(url) == Endpoint(target, secure)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://pass:80", "http://pass"),
        ("https://pass:443", "https://pass/"),
        ("HTTP://PASS:5001", " http://pass:5001/\n"),
        ("http://pass:05001", "http://pass:5001"),
        ("http://pass:5001", "dns:///pass:5001"),
        ("dns:pass:5001", "dns:///pass:5001"),
        ("http://[::1]:5001", "http://[0:0:0:0:0:0:0:1]:5001"),
        ("http://[FE80::1]:5001", "http://[fe80::0001]:5001"),
        ("unix:/run/pass.sock", "unix:///run/pass.sock"),
        ("unix:/run/pass.sock", "UNIX:/run//./pass.sock"),
    ],
)
def test_two_spellings_of_one_place_are_equal(url: str, same: str) -> None:
    assert Endpoint.parse(url) == Endpoint.parse(same)
    assert hash(Endpoint.parse(url)) == hash(Endpoint.parse(same))


def test_the_same_host_with_and_without_tls_are_two_endpoints() -> None:
    assert Endpoint.parse("http://pass:443") != Endpoint.parse("https://pass:443")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no scheme"),
        ("pass:5001", "no scheme"),
        ("127.0.0.1:5001", "no scheme"),
        ("ftp://pass:5001", "no scheme"),
        ("grpc://pass:5001", "no scheme"),
        ("http:pass:5001", "no scheme"),
        ("http://", "a host and a port"),
        ("http:///", "a host and a port"),
        ("http://:5001", "a host and a port"),
        ("http://pass:5001/path", "a host and a port"),
        ("http://pass:5001//", "a host and a port"),
        ("http://pass:5001?a=b", "a host and a port"),
        ("http://pass:5001#a", "a host and a port"),
        ("http://user:password@pass:5001", "a host and a port"),
        ("http://pa ss:5001", "a host and a port"),
        ("http://pa\tss:5001", "a host and a port"),
        ("http://pass:x", "a host and a port"),
        ("http://pass:-1", "a host and a port"),
        ("http://pass:+1", "a host and a port"),
        ("http://pass:5_001", "a host and a port"),
        ("http://pass:\u0665001", "a host and a port"),
        ("http://päss:5001", "a host and a port"),
        ("http://-pass:5001", "a host and a port"),
        ("http://a:b:5001", "a host and a port"),
        ("http://::1:5001", "a host and a port"),
        ("http://[::1:5001", "a host and a port"),
        ("http://[::1]x:5001", "a host and a port"),
        ("http://[::1%eth0]:5001", "a host and a port"),
        ("http://[::1::2]:5001", "no IPv6 address"),
        ("http://[1.2.3.4]:5001", "no IPv6 address"),
        ("http://pass:0", "a port from 1 to 65535"),
        ("http://pass:65536", "a port from 1 to 65535"),
        ("http://pass:999999", "a host and a port"),
        ("dns:///pass", "a port from 1 to 65535"),
        ("dns://8.8.8.8/pass:5001", "a host and a port"),
        ("unix:", "absolute"),
        ("unix:/", "absolute"),
        ("unix:run/pass.sock", "absolute"),
        ("unix://run/pass.sock", "absolute"),
        ("unix:////run/pass.sock", "absolute"),
        ("unix:/run/", "absolute"),
        ("unix:/run/pass%20.sock", "absolute"),
        ("unix:/run/pass.sock?a", "absolute"),
        ("unix:/run/pa\0ss.sock", "absolute"),
    ],
)
def test_what_cannot_be_called_is_refused_with_the_reason_and_what_to_write(url: str, why: str) -> None:
    with pytest.raises(EndpointError, match=re.escape(why)) as raised:
        Endpoint.parse(url)
    assert "Write http://host:port, https://host:port, unix:/path or dns:///host:port." in str(raised.value)


_SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6).filter(
    lambda secret: (
        secret not in "'' is no endpoint: it has no scheme Write http://host:port unix:/path dns:/// and host"
    )
)


@given(secret=_SECRET, scheme=st.sampled_from(["http://", "https://", "dns:///", "redis://", "unix:", "", "http:"]))
def test_credentials_are_never_shown(secret: str, scheme: str) -> None:
    with pytest.raises(EndpointError) as raised:
        Endpoint.parse(f"{scheme}:{secret}@!")
    assert secret not in str(raised.value)


@given(secret=_SECRET)
def test_a_query_is_never_shown(secret: str) -> None:
    with pytest.raises(EndpointError) as raised:
        Endpoint.parse(f"http://pass:5001?token={secret}")
    assert secret not in str(raised.value)


_HOST = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z0-9]{1,5}){0,3}", fullmatch=True)
_PORT = st.integers(1, 65535)


@given(host=_HOST, port=_PORT, secure=st.booleans(), shout=st.booleans(), slash=st.sampled_from(["", "/"]))
def test_any_host_and_port_are_the_same_in_every_spelling(
    host: str, port: int, secure: bool, shout: bool, slash: str
) -> None:
    url = f"{'https' if secure else 'http'}://{host}:{port}{slash}"
    assert Endpoint.parse(url.upper() if shout else url) == Endpoint(f"{host}:{port}", secure)


@given(
    url=st.one_of(
        st.text(), st.text().map("http://{}".format), st.text().map("unix:{}".format), st.text().map("dns:///{}".format)
    )
)
def test_any_text_is_an_endpoint_that_reads_back_as_itself_or_an_endpoint_error(url: str) -> None:
    try:
        endpoint = Endpoint.parse(url)
    except EndpointError:
        return
    assert Endpoint.parse(str(endpoint)) == endpoint
