"""The netd process of an engine: `python -I -S netd.py EXEC_ROOT`.

`-S` leaves site-packages out and `-I` the environment: netd needs the standard library and this
package only, so where the package is is said here.
"""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(
        0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    )

    from wherry.netd.main import main

    main(sys.argv[1])
