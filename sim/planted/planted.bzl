"""Bugs put in on purpose, each of which the simulator must find."""

load("@rules_cc//cc:defs.bzl", "cc_binary")

def planted_bug(name, source, within, deps, mechanism, scenario = "all"):
    """A program of all scenarios with one patch applied, and a test that it fails.

    The patched file is linked before the library that has the original, so that this one is never
    taken out of its archive. A patch that does not apply to the letter fails the build.

    Args:
      name: of the bug; NAME.patch is its patch.
      source: label of the .c file that is patched.
      within: how many seeds it takes at the most to find it.
      deps: labels of the library of the source and of those that it includes from.
      mechanism: what it breaks, in a few words, for the table that ./table prints.
      scenario: which scenario shows it.
    """
    if not mechanism:
        fail("%s: say what it breaks" % name)
    patched = "%s_%s" % (name, source.split(":")[-1])
    native.genrule(
        name = name + "_source",
        testonly = True,
        srcs = [source, name + ".patch"],
        outs = [patched],
        cmd = "cp $(location %s) $@ && chmod u+w $@ && patch -s -F0 --no-backup-if-mismatch $@ $(location %s.patch)" % (source, name),
    )
    cc_binary(
        name = name,
        testonly = True,
        srcs = [
            patched,
            "//sim:explore_main.c",
        ],
        # The patched file is not one of those that its library lets others include from.
        features = ["-layering_check"],
        deps = deps + [
            "//sim:explore_lib",
            "//sim:scenarios",
        ],
    )
    native.sh_test(
        name = name + "_test",
        # A debug build does a few hundred seeds a second.
        size = "medium" if within > 3000 else "small",
        srcs = ["found.sh"],
        args = [
            "$(location :%s)" % name,
            "--scenario",
            scenario,
            "--expect-failure-within",
            str(within),
            "--no-shrink",
        ],
        data = [":" + name],
        tags = ["planted"],
    )
