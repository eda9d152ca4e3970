"""What example/textstat has to print, by other means: bytes.split and
collections.Counter. Usage: textstat.py FILE CHUNK TOP FIRST-LAST.. (chunks)."""

import collections
import json
import sys

text = open(sys.argv[1], "rb").read()
chunk, top = int(sys.argv[2]), int(sys.argv[3])
words, size, lines, longest, utf8 = collections.Counter(), 0, 0, 0, True
for r in sys.argv[4:]:
    first, last = map(int, r.split("-"))
    part = text[first * chunk : (last + 1) * chunk]
    words.update(part.split())
    size += len(part)
    lines += part.count(b"\n")
    longest = max([longest] + [len(line) for line in part.split(b"\n")])
    try:
        part.decode()
    except UnicodeDecodeError:
        utf8 = False
most = sorted(words.items(), key=lambda w: (-w[1], w[0]))[:top]
print(
    json.dumps(
        {
            "bytes": size,
            "lines": lines,
            "words": sum(words.values()),
            "distinct": len(words),
            "longest": longest,
            "utf8": utf8,
            "top": [{"count": n, "word": w.decode(errors="replace")} for w, n in most],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
)
