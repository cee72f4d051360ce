"""Random bytes by HTTP, slowly, as if they came from a real dice."""

import os
import time

from flask import Flask, Response

app = Flask(__name__)


@app.route("/<int:count>")
def random_bytes(count: int) -> Response:
    """So many bytes."""
    time.sleep(0.1)
    return Response(os.urandom(min(count, 1 << 20)), content_type="application/octet-stream")


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=80)
