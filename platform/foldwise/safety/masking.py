"""What leaves foldwise as text: without passwords, tokens, keys and signatures, and without control characters.

`masked` is the one function through which every text goes before it is shown, logged, tracked or kept; `masked_tree` does
the same to keys and values, and `shown` also writes control characters as escapes. Identity never comes from masked text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
"""What stands in place of a secret."""

# --- names ---

_ALWAYS = {
    "password", "passwd", "pwd", "passphrase", "passcode", "secret", "secrets", "apikey", "credential", "credentials",
    "authorization", "accesskey", "secretkey", "privatekey", "accountkey", "accesskeyid", "sharedaccesskey",
    "sharedaccesssignature", "accesstoken", "authtoken", "pw", "dsnpassword", "userpass", "dbpass", "cookie",
}  # fmt: skip
_SHORT = {"pass", "token", "sig", "signature", "jwt", "sas", "bearer", "auth"}
"""Words that are names of other things too, so that only ``name=value`` and structured text count for them."""
_OF_KEYS = {
    "access", "account", "api", "app", "auth", "client", "encryption", "hmac", "host", "license", "master", "private", "sas",
    "secret", "service", "shared", "signing", "ssh", "storage", "subscription", "webhook",
}  # fmt: skip
_IN_QUERIES = {"key", "code", "hmac", "signed", "hdnea", "hdnts"}
_COUNTS = {"n", "num", "max", "min", "len", "size"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?", re.IGNORECASE)
_NOTHING = {"none", "null", "nil", "true", "false", "~", "nan", ""}


@functools.lru_cache(maxsize=10_000)
def is_secret(name: str) -> bool:
    """Tell whether what has this name is a secret.

    Examples
    --------
    >>> [is_secret(name) for name in ("password", "clf__api_key", "X-Amz-Signature", "RAY_AUTH_TOKEN")]
    [True, True, True, True]
    >>> [is_secret(name) for name in ("token_pattern", "max_tokens", "key", "svc__C", "bypass")]
    [False, False, False, False, False]
    """
    return _is_plainly_secret(name) or _words_of(name)[-1:] in [[word] for word in _SHORT]


def _is_plainly_secret(name: str) -> bool:
    """Tell whether a name can mean nothing but a secret."""
    words = _words_of(name)
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _ALWAYS or last.endswith(("password", "passwd", "passphrase")):
        return True
    if last == "id":
        return before == "key" and words[-3:-2] == ["access"]
    if last == "key":
        return before in _OF_KEYS
    return last in {"token", "signature"} and before in {
        "access", "api", "auth", "bearer", "id", "oauth", "refresh", "sas", "security", "session", "signed", "amz", "goog",
        "shared", "bot", "csrf", "personal", "user",
    }  # fmt: skip


def _words_of(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def _is_spared(name: str, value: str) -> bool:
    """Tell whether a value says nothing: none at all, a switch, a count, or a number where a name may mean one."""
    if value.strip().lower() in _NOTHING or value.strip() == MASK:
        return True
    words = _words_of(name)
    may_be_number = bool(words) and (words[0] in _COUNTS or words[-1] in {"sig", "signature"})
    return may_be_number and _NUMBER.fullmatch(value.strip()) is not None


# --- addresses ---

_SCHEME = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]+:/{1,2}|(?<![\w:/])//(?=[^\s/@]*:[^\s/@]*@)")
_LONGEST_USER = 400
_CLOSED = r"[\"'][,:;\]})\s]|[\"']$"  # where a quoted text ends
_BARE = re.compile(rf"(?:(?!{_CLOSED})[^\s/])*@")
_WITH_PASSWORD = re.compile(r"(?P<user>[^\s:@]*):(?P<password>.*@)(?=[\w\[%-])", re.DOTALL)
_CUT = re.compile(r"(?P<user>[^\s/:@\[]*):(?P<password>[^\s/@]+)$")
_PORT = re.compile(rf"[0-9]{{1,5}}(?:$|[\s,)\]}}>]|{_CLOSED})")
_PORT_AND_PATH = re.compile(r"[0-9]{1,5}[/?#]")
_HOST = re.compile(r"localhost$|.*\.|\[")
_NO_SCHEME = re.compile(r"(?<![\w/.@%+:-])[\w.+%-]+:(?![/\s])[^\s@/'\",;()]{2,}@(?!sha256:)(?=[\w-]+(?:\.[\w-]+|:[0-9]|/))")


def _without_users(text: str) -> str:
    """Take user names and passwords out of all addresses in a text."""
    places = list(_SCHEME.finditer(text))
    if not places:
        return text
    ends = [*(place.start() for place in places[1:]), len(text)]
    parts = [text[: places[0].start()]]
    for place, end in zip(places, ends, strict=True):
        parts += [place.group(), _without_user(text[place.end() : end], place.group(), is_last=end == len(text))]
    return "".join(parts)


def _without_user(rest: str, scheme: str, *, is_last: bool) -> str:
    """Take the user out of what follows a scheme, as far as the next one."""
    slashes = scheme.endswith("//")
    line = rest.partition("\n")[0]
    found = _WITH_PASSWORD.match(line[:_LONGEST_USER]) if slashes else None
    if found is not None and _is_password(found["user"], found["password"]):
        return rest[_end_of_user(line[:_LONGEST_USER], found) :]
    bare = _BARE.match(rest)
    if bare is not None:
        return rest[bare.end() :]
    cut = _CUT.match(rest) if is_last and slashes else None  # a text that was cut before the address ended
    if cut is not None and not _PORT.match(cut["password"]) and not cut["password"].startswith("***"):
        return MASK
    return rest


def _is_password(user: str, password: str) -> bool:
    """Tell whether ``user:password@`` is one, and not a host with its port and some later ``@``."""
    host, slash, _ = user.partition("/")
    if (slash and (not host or _HOST.match(host))) or re.search(_CLOSED, user):
        return False  # a path that holds a colon
    if _PORT.match(password):
        return False
    looks_like_host = bool(_HOST.match(user)) or bool(re.search(r"\s", password))
    return not (looks_like_host and _PORT_AND_PATH.match(password))


def _end_of_user(line: str, found: re.Match[str]) -> int:
    """Return where the host begins: behind the last ``@`` of the same word or, where the password has spaces, the first."""
    begin = found.start("password")
    word = re.match(rf"(?:(?!{_CLOSED})\S)*@", line[begin:])
    if word is not None:
        return begin + word.end()
    return line.index("@", begin) + 1


# --- names with values ---

_NAME = r"(?P<name>[A-Za-z_][\w.-]*)"
_QUOTED = r"(?P<q>[\"'])(?:\\.|(?!(?P=q))[^\\])*(?:(?P=q)|$)"
_ESCAPED = r"(?P<e>\\+[\"'])(?:(?!(?P=e)).)*(?:(?P=e)|$)"
_PLAIN = rf"(?:(?!{_CLOSED}|[,)\]}}]+(?:\s|$)|[)\]}}]+[,;]|\\+[\"'])[^\s&;])+"
_NESTED = r"[(\[{](?:[^()\[\]{}]|[(\[{][^()\[\]{}]*[)\]}])*[)\]}]"
_BLOCK = r"[|>][-+0-9]{0,2}[ \t]*\n(?:[ \t]+[^\n]*(?:\n|$))+"
_VALUE = rf"(?P<value>[bruf]{{0,2}}{_QUOTED}|{_ESCAPED}|{_NESTED}|{_BLOCK}|{_PLAIN})"
_PAIR = re.compile(
    rf"(?<![\w.])(?<!\w-)(?P<open>\\*[\"'])?{_NAME}(?P<close>\\*[\"'])?"
    rf"(?P<sign>\s{{0,4}}(?:(?:=>|:=|=)\s{{0,9}}|:[ \t]*))(?:{_VALUE})",
    re.DOTALL,
)
_QUERY = re.compile(
    r"(?P<lead>[?&;#]|%26|%3f|%23|&amp;)(?P<name>[A-Za-z_][\w.-]*)(?P<sign>=|%3d)(?P<value>(?:(?!%26|%3b|%23)[^&;\s'\"<>])+)",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"(?P<name>--[A-Za-z][\w-]*)(?P<sign>\s+)(?!-){_VALUE}")
_HEADER = re.compile(
    r"(?P<head>\b(?:proxy-)?authorization\\*[\"']?\s*[:=]\s*\\*[\"']?\s*)(?P<how>(?:basic|bearer|token|digest|negotiate|apikey|"
    r"aws4-hmac-sha256)\s+)?(?P<value>[^\s\"'\\]+(?:,\s*\w+=[^\s\"'\\]+)*)", re.IGNORECASE,
)  # fmt: skip
_BEARER = re.compile(
    r"\b(?:(?P<how>[Bb]earer|BEARER)\s+(?!tokens?\b|auth|access\b|scheme|of\b|realm)|(?P<way>[Bb]asic|BASIC)\s+(?=\S*[A-Z0-9=]))"
    r"(?P<value>[\w.~+/=-]{5,})"
)
_PROSE = re.compile(
    r"(?P<head>\b(?:password|passwd|passphrase|token|secret|api[ _-]?key|access key|secret key)\s+(?:is|was|of)\s+)"
    r"(?P<value>[\"'][^\"']+[\"'])",
    re.IGNORECASE,
)
_LISTED = re.compile(rf"[(\[]\s*[\"'](?P<name>[A-Za-z_][\w.-]*)[\"'],\s*(?P<value>{_QUOTED})", re.DOTALL)
_TAGGED = re.compile(r"<(?P<name>[A-Za-z_][\w.-]*)>(?P<value>[^<]+)(?=</)")
_KNOWN = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|\b(?:gh[pousr]_\w{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|hf_[A-Za-z0-9]{20,}"
    r"|sk-[\w-]{20,}|[rs]k_(?:live|test)_\w{10,}|AIza[\w-]{30,}|dapi[0-9a-f]{32}|A(?:KIA|SIA)[A-Z0-9]{16}"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?)", re.DOTALL,
)  # fmt: skip
_NO_TOKEN = re.compile(r"(?:unexpected|unknown|illegal|next|undefined|first|last|this|that|each|no|a|the) $", re.IGNORECASE)


def _mask_pair(match: re.Match[str]) -> str:
    """Mask the value of a name, where that is a secret's and the text says so plainly enough."""
    name, value, sign = match["name"], match["value"], match["sign"]
    bare = value.strip("\\").strip("\"'").rstrip("\\")
    if ":" in sign and "=" not in sign and not _is_stated(match):
        return match.group()
    if not is_secret(name) or _is_spared(name, bare) or name.lower().endswith("authorization"):  # of which a header is more
        return match.group()
    return match.group()[: match.start("value") - match.start()] + _mask_like(value)


def _is_stated(match: re.Match[str]) -> bool:
    """Tell whether ``name: value`` gives a value to a name, rather than being prose."""
    name, text, value = match["name"], match.string, match["value"]
    if match["open"] or _is_plainly_secret(name):
        return not value.startswith("/")
    before = text[max(0, match.start() - 20) : match.start()]
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
    if not line.strip(" \t-?") or before.rstrip().endswith(("{", ",", "(", "[", ";", "|", "&")):
        return True
    return _words_of(name)[-1:] == ["token"] and not _NO_TOKEN.search(before) and len(value.strip("\"'")) > 2


def _mask_like(value: str) -> str:
    """Return the mask in the quotes of what it stands for."""
    found = re.match(r"[bruf]{0,2}(\\*[\"'])", value)
    if found is None:
        return MASK
    closed = value.endswith(found[1]) and len(value) > len(found.group())
    return found.group() + MASK + (found[1] if closed else "")


def _mask_query(match: re.Match[str]) -> str:
    name = match["name"]
    if _is_spared(name, match["value"]) or not (is_secret(name) or _words_of(name)[-1:] in [[word] for word in _IN_QUERIES]):
        return match.group()
    return f"{match['lead']}{name}{match['sign']}{MASK}"


def _mask_named(match: re.Match[str]) -> str:
    if not is_secret(match["name"]) or _is_spared(match["name"], match["value"].strip("\"'")):
        return match.group()
    return match.group()[: match.start("value") - match.start()] + _mask_like(match["value"])


_SIGNS = re.compile(
    r"@|:/|[?]|pass|pwd|pw|secret|token|sig|key|cred|auth|jwt|sas|bearer|basic|cookie|gh[pousr]_|github_|glpat|xox|hf_|[rs]k[-_]|AIza"
    r"|dapi|AKIA|ASIA|npm_|pypi-|eyJ", re.IGNORECASE,
)  # fmt: skip
_OF_SECRETS = re.compile(r"pass|pwd|pw|secret|token|sig|key|cred|auth|jwt|sas|bearer|cookie", re.IGNORECASE)


def masked(text: str) -> str:
    """Take passwords, tokens, keys and signatures out of a text, and user names and passwords out of addresses in it.

    Masking twice is masking once. A text without secrets stays as it is.

    Examples
    --------
    >>> masked("https://ann:secret@mlflow.example:5000/x")
    'https://mlflow.example:5000/x'
    >>> masked("postgresql://db/x?user=ann&password=secret")
    'postgresql://db/x?user=ann&password=***'
    >>> masked("E(token='abc', C=1)"), masked("Authorization: Bearer abc")
    ("E(token='***', C=1)", 'Authorization: Bearer ***')
    >>> masked("TfidfVectorizer(token_pattern='[a-z]+'), svc__C=1, max_tokens=5")
    "TfidfVectorizer(token_pattern='[a-z]+'), svc__C=1, max_tokens=5"
    """
    if _SIGNS.search(text) is None:
        return text
    for _ in range(_MOST_PASSES):
        before, text = text, _masked_once(text)
        if text == before:
            break
    return text


_MOST_PASSES = 5


def _masked_once(text: str) -> str:
    text = _KNOWN.sub(MASK, text)
    if "@" in text or "://" in text:
        text = _NO_SCHEME.sub(f"{MASK}@", _without_users(text))
    text = _HEADER.sub(lambda found: found["head"] + (found["how"] or "") + MASK, text)
    text = _BEARER.sub(lambda found: (found["how"] or found["way"]) + " " + MASK, text)
    text = _PROSE.sub(lambda found: found["head"] + found["value"][0] + MASK + found["value"][-1], text)
    text = _QUERY.sub(_mask_query, text)
    if _OF_SECRETS.search(text) is None:
        return text
    for pattern in (_OPTION, _LISTED, _TAGGED):
        text = pattern.sub(_mask_named, text)
    return _mask_pairs(text)


def _mask_pairs(text: str) -> str:
    """Mask name by name: a value that is no secret may itself hold names with values, and is looked into."""
    parts, at = [], 0
    while (found := _PAIR.search(text, at)) is not None:
        replaced = _mask_pair(found)
        end = found.end() if replaced != found.group() else found.end("name")
        parts.append(text[at : found.start()] + replaced[: len(replaced) if end == found.end() else end - found.start()])
        at = end
    return "".join([*parts, text[at:]])


def masked_value(name: str, value: Any) -> Any:
    """Return what has a name, or the mask if the name is a secret's; what else is secret in it is left to `masked`."""
    if is_secret(name) and not isinstance(value, bool | None):
        is_number = isinstance(value, int | float)
        if not (is_number and _is_spared(name, str(value))) and not (isinstance(value, str) and _is_spared(name, value)):
            return MASK
    return value


def masked_tree(value: Any) -> Any:
    """Mask texts in lists and mappings, and the values of keys whose names are secrets'.

    Examples
    --------
    >>> masked_tree({"args": {"password": "abc", "url": "http://a:b@host/x"}, "C": [1, None]})
    {'args': {'password': '***', 'url': 'http://host/x'}, 'C': [1, None]}
    """
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {
            masked(key) if isinstance(key, str) else key: masked_tree(masked_value(key, item) if isinstance(key, str) else item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked_tree(item) for item in value]
    return value


def masked_texts(value: Any) -> Any:
    """Mask texts in lists and mappings, whatever their keys: where names are those of metrics and the like."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: masked_texts(item) for key, item in value.items()}
    return [masked_texts(item) for item in value] if isinstance(value, list | tuple) else value


# --- control characters ---


def printable(text: str) -> str:
    r"""Write what a terminal would obey as escapes: control characters, changes of direction; not tabs and line breaks.

    Examples
    --------
    >>> print(printable("\x1b[2J\u202etxt\r\nend"))
    \x1b[2J\u202etxt
    end
    """
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)


def shown(text: str) -> str:
    """Return a text as it may be shown anywhere: without secrets and control characters."""
    return printable(masked(text))
