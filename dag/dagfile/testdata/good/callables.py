# Functions of the Python cases. They are read, not run.


def numbers(count: int = 3, *, start=0):
    return list(range(start, start + count))


async def add(x, y, ti=None, note: str = "a, b) # not the end"):  # a comment, with a comma
    return x + y


def anything(**kwargs):
    return kwargs


def retries(retries, owner="nobody"):
    return retries


def positional(a, /, b: "dict[str, int]"):
    return a, b
