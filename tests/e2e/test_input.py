# What the command says to traces and outputs that are not what they should be: one line, a hint, the right status.
# SPDX-License-Identifier: MIT
import sqlite3
import unittest

from harness import USAGE, EndToEnd


class Traces(EndToEnd):
    def each_reader(self, trace, *words):
        for arguments in (("analyze", trace), ("query", trace, "select 1"), ("report", trace)):
            with self.subTest(arguments[0]):
                self.assert_error(self.paravane(*arguments), USAGE, *words)

    def database(self, *statements):
        path = self.folder / "made.db"
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return path

    def test_missing(self):
        self.each_reader(self.folder / "none.db", "none.db")

    def test_a_folder(self):
        self.each_reader(self.folder, str(self.folder))

    def test_not_a_database(self):
        path = self.folder / "text.db"
        path.write_text("this is a text, and rather a short one\n" * 100)
        self.each_reader(path, "text.db")

    def test_empty(self):
        path = self.folder / "empty.db"
        path.touch()
        self.each_reader(path, "empty.db")

    def test_somebody_elses_database(self):
        self.each_reader(self.database("create table invoice (id integer)"), "made.db")

    def test_a_newer_version_is_refused_politely(self):
        self.each_reader(self.database("create table meta (key text primary key, value text not null) without rowid",
                                       "insert into meta values ('schema_major', '99'), ('schema_minor', '0')"))

    def test_report_into_a_folder_that_is_not_there(self):
        self.assert_error(self.paravane("report", self.folder / "none.db", "--html", self.folder / "no/such/folder.html"), USAGE)

    def test_output_into_a_folder_that_is_not_there(self):
        result = self.paravane("check", "--output", self.folder / "no/such/t.db")
        self.assert_error(result, USAGE, "no/such")
        self.assertLess(result.seconds, 5, "said before the guest is started")

    def test_names_with_spaces_and_escape_sequences_are_safe_on_the_terminal(self):
        name = "a \x1b[31mred\x1b[0m name.db"
        result = self.paravane("analyze", self.folder / name)
        self.assertNotIn("\x1b", result.stderr)


if __name__ == "__main__":
    unittest.main()
