import os

TOKEN_URI = os.environ["HWCNG_PROVIDER"]
