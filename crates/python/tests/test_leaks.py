"""What reads and refreshes leave behind. `cargo xtask leaks` looks at many more of them."""

from __future__ import annotations

from processes import succeeds

READS, REFRESHES = "20000", "200"


def test_many_refreshes_leave_no_object_reference_or_thread_behind() -> None:
    succeeds("many_reads.py", READS, REFRESHES, limit=120)
