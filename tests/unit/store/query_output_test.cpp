// What `paravane query` prints: aligned, RFC 4180 and JSON, with texts that want to be something else.
// SPDX-License-Identifier: MIT
#include "cli/query_output.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace pv::cli {
namespace {

Result<std::string> output(const std::string& sql, const QueryOutput& options) {
    store::Database database = *store::Database::open_memory();
    store::Statement statement = PV_TRY(database.prepare(sql));
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* file = ::open_memstream(&text, &size);
    const Result<> done = write_rows(statement, options, file);
    std::fclose(file);
    std::string result(text, size);
    std::free(text);
    if (!done) {
        return std::unexpected(done.error());
    }
    return result;
}

TEST(QueryOutput, aligns_a_table_and_makes_its_texts_harmless) {
    EXPECT_EQ(*output("SELECT 7 AS n, 'ab' AS name, NULL AS empty UNION ALL SELECT 1000, 'abcdef', 'x'", {}),
              "   n  name    empty\n"
              "----  ------  -----\n"
              "   7  ab\n"
              "1000  abcdef  x\n");
    const std::string hostile =
        *output("SELECT char(27) || '[2J' || char(10) || char(8238) AS \"a\x1b[0m\"", {});
    EXPECT_EQ(hostile.find('\x1b'), std::string::npos);
    EXPECT_EQ(std::count(hostile.begin(), hostile.end(), '\n'), 3);
    EXPECT_EQ(hostile.find("\xe2\x80\xae"), std::string::npos);
    EXPECT_EQ(*output("SELECT 1 AS a WHERE 0", {}), "a\n-\n");
}

TEST(QueryOutput, streams_rows_after_it_has_chosen_its_widths) {
    const std::string text = *output(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i FROM n", {});
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2'002);
    EXPECT_TRUE(text.ends_with("\n2000\n"));
    EXPECT_EQ(*output("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
                      {.limit = 2, .hexadecimal = {}}),
              "i\n-\n1\n2\n");
}

TEST(QueryOutput, quotes_csv_as_rfc_4180_says) {
    EXPECT_EQ(*output("SELECT 1 AS \"a,b\", 'say \"hi\"' AS c, 'x' || char(10) || 'y' AS d, NULL AS e",
                      {.format = QueryFormat::csv, .hexadecimal = {}}),
              "\"a,b\",c,d,e\n1,\"say \"\"hi\"\"\",\"x\ny\",\n");
}

TEST(QueryOutput, writes_json_that_any_parser_reads) {
    const std::string text = *output(
        "SELECT -1 AS a, 'x\"' || char(27) AS b, NULL AS c, 1.5 AS d, x'00ff' AS e, 2 AS a "
        "UNION ALL SELECT 1, CAST(x'ff' AS TEXT), 0, 0, 0, 0",
        {.format = QueryFormat::json, .hexadecimal = {"d"}});
    const auto json = nlohmann::json::parse(text);
    ASSERT_EQ(json.size(), 2U);
    EXPECT_EQ(json[0]["a_2"], 2);
    EXPECT_EQ(json[0].contains("a_2") ? json[0].size() : 0, 6U);
    EXPECT_EQ(json[0]["b"], "x\"\x1b");
    EXPECT_TRUE(json[0]["c"].is_null());
    EXPECT_EQ(json[0]["e"], "x'00ff'");
    EXPECT_EQ(json[1]["b"], "\xef\xbf\xbd");
    EXPECT_EQ(*output("SELECT 1 AS a WHERE 0", {.format = QueryFormat::json, .hexadecimal = {}}), "[]\n");
}

TEST(QueryOutput, shows_addresses_in_hexadecimal_where_asked) {
    EXPECT_EQ(*output("SELECT -1 AS pc, -1 AS n", {.hexadecimal = {"pc"}}),
              "                pc   n\n------------------  --\n0xffffffffffffffff  -1\n");
    const Result<std::string> wrong = output("SELECT 1 AS a", {.hexadecimal = {"b"}});
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().message.find("b"), std::string::npos);
}

}  // namespace
}  // namespace pv::cli
