# Lets spin look at every state of a model, and at variants that are wrong: check.py MODEL
# SPDX-License-Identifier: MIT
#
# The right protocol has no error in any state; each wrong variant has one. Both are needed: a model in which nothing
# can go wrong says nothing.
import pathlib
import re
import subprocess
import sys
import tempfile

# name, definitions, steps of its own that each processor makes between those of the protocol
RIGHT = [("every request is answered", [], 2), ("a sender may give up", ["GIVE_UP"], 1)]
WRONG = [("NO_FENCE", []), ("NO_ENLISTING_FENCE", []), ("FREE_EARLY", []), ("ANSWER_EARLY", []), ("FORGET_ONE", []), ("DEAF", []),
         ("FORGET_OVERDUE", ["GIVE_UP"])]


def states(model, definitions, steps):
    """Errors, and how many states there are; all of them were looked at."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"-D{name}" for name in definitions] + [f"-DSTEPS={steps}"]
        subprocess.run(["spin", "-a", *flags, model], cwd=folder, check=True, capture_output=True, text=True)
        subprocess.run(["gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"], cwd=folder, check=True)
        done = subprocess.run(["./pan", "-m2000000"], cwd=folder, capture_output=True, text=True, check=False)
    found = re.search(r"errors: (\d+)", done.stdout)
    count = re.search(r"(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored", done.stdout)
    if done.returncode != 0 or not found or not count or "max search depth too small" in done.stdout:
        sys.exit(f"spin did not look at every state of {definitions}:\n{done.stdout}{done.stderr}")
    return int(found[1]), int(float(count[1]))


def main():
    model = pathlib.Path(sys.argv[1]).resolve()
    problems = 0
    for name, definitions, steps in RIGHT:
        errors, count = states(model, definitions, steps)
        print(f"{name}: {count} states, {errors} errors")
        problems += errors != 0
    for variant, also in WRONG:
        errors, count = states(model, [variant, *also], 2)
        print(f"without its care, {variant}: {'refuted' if errors else 'NOT REFUTED'} in {count} states")
        problems += errors == 0
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
