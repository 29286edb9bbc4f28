"""States which of our own targets a target may reach, so that an arrow cannot be added unnoticed."""

def _label(label):
    """Writes //ring as //ring:ring, which is how a query prints it."""
    return label if ":" in label else label + ":" + label.split("/")[-1]

def closure_test(name, target, expected):
    """Fails unless target reaches exactly the targets that expected names.

    Args:
      name: the test's name.
      target: absolute label of a target that is not a test.
      expected: absolute labels of all that it reaches in this workspace, directly or not, without
        itself. What comes from other workspaces (Debian's libraries) does not count.
    """
    native.genquery(
        name = name + "_query",
        testonly = True,
        expression = "kind(rule, filter('^//', deps({target}))) except {target}".format(target = target),
        scope = [target],
    )
    native.sh_test(
        name = name,
        size = "small",
        srcs = ["//tools:closure_test.sh"],
        args = ["$(location :%s_query)" % name, target] + [_label(label) for label in expected],
        data = [":%s_query" % name],
    )
