import hashlib

digests = [hashlib.sha256(b"%d" % number).digest() for number in range(8)]
