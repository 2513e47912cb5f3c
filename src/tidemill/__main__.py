"""`python -m tidemill` is the command line.

`-m` makes the current folder the first entry of the module path. It is removed before anything else is
imported: with `-C` the project is in another folder, and a project's own folder is added with the workflow.
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

from tidemill.cli import main

if __name__ == "__main__":
    main()
