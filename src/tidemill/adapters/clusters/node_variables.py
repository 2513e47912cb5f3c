"""The environment variables that tell worker processes on a node of a cluster where things are.

Every worker process reads them, also those that no cluster started.
"""

# The folder of the project's code on this node; and that of its state.
CODE_VARIABLE, HOME_VARIABLE = "TIDEMILL_NODE_CODE", "TIDEMILL_NODE_HOME"
