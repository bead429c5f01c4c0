"""The report: RESULTS.md for people, results.tsv for bench/check."""

from figures import figure


def words_of(goal):
    """A goal's bound, with its unit."""
    bound = f"{goal.goal:,.0f}" if goal.goal >= 100 else f"{goal.goal:g}"
    return f"{goal.direction} {bound} {goal.unit}"


def verdict(goal):
    return "yes" if goal.met() else "**no**"


def row(cells):
    return "| " + " | ".join(cells) + " |"


def markdown_table(head, lines):
    return "\n".join([row(head), "|" + "---|" * len(head), *(row(line) for line in lines)])


def goals_table(goals):
    return markdown_table(
        ["what", "goal", "measured", "met"],
        [[goal.what, words_of(goal), figure(goal.samples), verdict(goal)] for goal in goals])


def section_text(section):
    parts = [f"## {section.title}", section.text]
    parts += [markdown_table(table.head, table.lines) for table in section.tables]
    parts += [f"![{shown}]({file}.svg)" for file, shown in section.plots]
    return "\n\n".join(parts)


def markdown(facts, bench, sections):
    goals = [goal for section in sections for goal in section.goals]
    parts = [
        "# Results",
        "Written by `scripts/bench`. A figure is the median of the rounds with minimum and maximum "
        "in brackets. A ratio is taken within one round, in which all sides run one after the "
        "other, as machines are shared and their speed wanders; which is why the ratio of two "
        "medians can differ from the median ratio. A goal is met by the median.",
        markdown_table(["", ""], [[name, value] for name, value in facts]),
        f"{bench.rounds} rounds of {bench.seconds:g} s a side after one that warms up, unless a "
        "section says otherwise. Bodies are 200 bytes; metadata is `{\"trace\": \"4bf9...\", "
        "\"v\": 2}`. Durability is full. Where a section publishes, its tables are made anew for each "
        "round. Checkpoints and autovacuum are kept out of the rounds; "
        "the library is preloaded, so that publishers wake workers, unless a section says "
        "otherwise.",
        "## Goals",
        goals_table(goals),
        *(section_text(section) for section in sections),
    ]
    return "\n\n".join(parts) + "\n"


def machine_readable(sections):
    lines = ["key\tmedian\tminimum\tmaximum\tgoal\tdirection\tunit\twhat"]
    for section in sections:
        for goal in section.goals:
            lines.append("\t".join([
                goal.key, f"{goal.median:.6g}", f"{min(goal.samples):.6g}",
                f"{max(goal.samples):.6g}", f"{goal.goal:g}", goal.direction, goal.unit,
                goal.what.replace("\t", " ")]))
    return "\n".join(lines) + "\n"


def plain(section):
    """A section for a terminal: the tables alone."""
    lines = [f"\n{section.title}"]
    for table in section.tables:
        lines += ["", markdown_table(table.head, table.lines)]
    for goal in section.goals:
        short = "" if goal.met() else "   <- falls short"
        lines.append(f"  {goal.key}: {figure(goal.samples)}; {words_of(goal)}{short}")
    return "\n".join(lines)

