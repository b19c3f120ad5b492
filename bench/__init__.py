"""
Written by `scripts/bench`, which measures all of this anew:

    scripts/bench                           # everything, which takes hours
    scripts/bench memory scaling            # some subjects
    scripts/bench lazy lazy.calls           # all parts of a subject, or one
    scripts/bench memory --rounds 30
    scripts/bench memory --seconds 60       # how long what lasts a while should last: here, the health probes
    scripts/bench --quick                   # only to see that it works: its figures are worth nothing, nor kept
    scripts/bench memory --json             # for machines, on stdout
    scripts/bench --page                    # writes this page anew from the last results, and measures nothing

It makes its own `.venv-bench`, with what a running Drive has and what it is compared with; nothing else sees these. The last results of each subject are in [benchmarks/results](benchmarks/results); measuring one replaces its own alone.

## How to read a table
Each figure is the median of some rounds (`--rounds`, 11); the column after it gives the two values between which the middle half of them lies. A round is a fresh process, or several that take turns. Within a round everything of one table is measured side by side: so that each comes first, and after each other one, as often.

Compare the ratios, not the times. A ratio is computed round by round, from two figures of the same round, and only then summed up; a machine that is slow for a while, or all the time, slows both. Where the middle half of a ratio spans its goal, or a control row is not 1, repeat it on a quieter machine or with more rounds.

`met` and `missed` compare the median with the goal. A missed goal is a result, not a failure: the exit code is 0 either way.
"""  # noqa: D212, D415, E501 - the head of docs/benchmarks.md, in Markdown
