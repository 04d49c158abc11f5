"""How counts are said to users: "1 fit", "3 fits"."""


def counted(n: int, noun: str, plural: str = "") -> str:
    """Say how many there are of something.

    Examples
    --------
    >>> counted(1, "fit"), counted(0, "fit"), counted(2, "study", "studies")
    ('1 fit', '0 fits', '2 studies')
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
