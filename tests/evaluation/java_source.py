"""A class, a test with a placeholder, and the record of both."""

from assertkd.records import MARKER, Record

METHOD = """public int size(int extra) {
    if (extra > 1) {
        return size + extra;
    }
    return size;
}"""

CLASS = """package p.PACKAGE;

public class Box {
    private int size = 3;

METHOD
}
"""

TEST = """package p.PACKAGE;

import static org.junit.Assert.*;
import org.junit.Test;

public class BoxTest {
    @Test
    public void sizes() throws Exception {
        Box box = new Box();
        MARKER
    }
}
"""


def box(id_: str = "box", assertion: str = "assertEquals(5, box.size(2));") -> Record:
    """Return a record in a package of its own."""
    sources = {
        "class_source": CLASS.replace("PACKAGE", id_).replace("METHOD", METHOD),
        "test_source": TEST.replace("PACKAGE", id_).replace("MARKER", MARKER),
    }
    return Record(id_, METHOD, f"@Test\npublic void sizes() {{\n    {MARKER}\n}}", assertion, extra=sources)
