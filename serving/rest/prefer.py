"""The header Prefer (RFC 7240): does a caller want its answer later? Pure."""

PREFER = b"prefer"


def prefers_async(value: bytes) -> bool:
    return any(each.partition(b";")[0].strip().lower() == b"respond-async" for each in value.split(b","))
