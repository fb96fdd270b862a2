#!/usr/bin/env python3
"""A bad example for every rule of tools/tidy, and the good ones beside them that must pass."""

import pathlib
import re
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from tidy_lib import compile_headers, cpp, rules, tree as trees  # noqa: E402  (the path comes first)

CMAKE = """
weir_library(base  src/base  DEPS fmt::fmt)
weir_library(net   src/net   DEPS weir::base TEST_DEPS weir::extra)
weir_library(http  src/http
             DEPS weir::base)
weir_library(http1 src/http/http1 DEPS weir::http LABELS threads)
weir_library(extra src/extra DEPS weir::base)
"""


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="tidy-test-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.write("CMakeLists.txt", CMAKE)

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def found(self, check, *arguments):
        """{(path, line, rule)} of what a check finds."""
        return {(p.path, p.line, p.rule) for p in check(trees.Tree(self.root), *arguments)}

    def test_final_newline(self):
        self.write("src/base/a.cc", "int a;")
        self.write("src/base/b.cc", "int b;\n\n")
        self.write("src/base/good.cc", "int c;\n")
        self.assertEqual(self.found(rules.check_text),
                         {("src/base/a.cc", 1, "final-newline"), ("src/base/b.cc", 2, "final-newline")})

    def test_trailing_space(self):
        self.write("src/base/a.cc", "int a; \nint b;\n")
        self.assertEqual(self.found(rules.check_text), {("src/base/a.cc", 1, "trailing-space")})

    def test_line_length(self):
        self.write("src/base/a.cc", "// " + "x" * 117 + "\n// " + "x" * 118 + "\n")
        self.write("docs/a.md", "x" * 500 + "\n")
        self.assertEqual(self.found(rules.check_text), {("src/base/a.cc", 2, "line-length")})

    def test_unfinished(self):
        words = ["TO" + "DO: x", "FIX" + "ME", "X" + "XX later", "good for " + "now"]
        self.write("src/base/a.cc", "".join(f"// {word}\n" for word in words) + "// forward, mkstemp(XXXXXX), now\n")
        self.assertEqual({line for _, line, _ in self.found(rules.check_words)}, {1, 2, 3, 4})

    def test_machine_path(self):
        self.write("tools/a.sh", "cd /" + "home/someone/weir\ncat /proc/self/stat\nls build/home/x\n")
        self.assertEqual(self.found(rules.check_words), {("tools/a.sh", 1, "machine-path")})

    def test_allow_marker_needs_rule_and_reason(self):
        path = "/" + "home/someone"
        self.write("a.sh", f"# tidy: allow(machine-path): shown in an error\n{path}\n\n"
                           f"# tidy: allow(machine-path):\n{path}\n\n# tidy: allow(unfinished): why\n{path}\n")
        self.assertEqual({line for _, line, _ in self.found(rules.check_words)}, {5, 8})

    def test_file_length(self):
        self.write("src/base/long.cc", "int a;\n" * 1001)
        self.write("src/base/most.cc", "int a;\n" * 1000)
        self.write("src/base/table.cc", "// tidy: table HPACK's codes\n" + "int a;\n" * 1001)
        self.write("src/base/no_reason.cc", "// tidy: table\n" + "int a;\n" * 1001)
        self.assertEqual(self.found(rules.check_size), {("src/base/long.cc", 1001, "file-length"),
                                                        ("src/base/no_reason.cc", 1001, "file-length")})

    def test_function_length(self):
        body = "  go();\n"
        self.write("src/base/a.cc", "int x;\n\nvoid most() {\n" + body * 70 + "}\n\n"
                   "void A::more(int a,\n          int b) {\n" + body * 71 + "}\n"
                   "// tidy: table tokens of a number\nvoid scan() {\n" + body * 71 + "}\n")
        self.assertEqual(self.found(rules.check_size), {("src/base/a.cc", 76, "function-length")})

    def test_case_numbers(self):
        self.write("src/base/a_test.cc", "TEST(Bugs, Case001One) {}\n\nTEST_F(Bugs, Case002Two) {}\n")
        self.write("src/net/b_test.cc", "TEST_P(Bugs,\n       Case003Three) {}\nTEST_P(Bugs, Case001OneMore) {}\n")
        self.write("src/net/other.cc", "TEST(Bugs, Case001InNoTest) {}\n")
        self.write("test/c_test.py", "def test_case_002_again(self):\n    pass\n")
        self.assertEqual(self.found(rules.check_case_numbers),
                         {("src/net/b_test.cc", 3, "case-number"), ("test/c_test.py", 1, "case-number")})

    def test_pragma_once(self):
        self.write("src/base/a.h", "int a;\n")
        self.write("src/base/b.h", "#pragma once\nint b;\n")
        self.assertEqual(self.found(rules.check_headers), {("src/base/a.h", 1, "pragma-once")})

    def test_using_namespace(self):
        self.write("src/base/a.h", "#pragma once\nusing namespace std;\nusing namespace std::chrono_literals;\n"
                                   "// using namespace in a comment\n")
        self.write("src/base/a.cc", "using namespace std;\n")
        self.assertEqual(self.found(rules.check_headers), {("src/base/a.h", 2, "using-namespace")})

    def test_layers(self):
        for path in ("src/base/b.h", "src/net/n.h", "src/http/h.h", "src/http/http1/h1.h", "src/extra/e.h", "test/t.h"):
            self.write(path, "#pragma once\n")
        self.write("src/base/up.cc", '#include "net/n.h"\n#include "base/b.h"\n')
        self.write("src/http/side.cc", '#include "net/n.h"\n#include "http/h.h"\n')
        self.write("src/http/deeper.cc", '#include "http/http1/h1.h"\n')
        self.write("src/http/http1/good.cc", '#include "base/b.h"\n#include "http/h.h"\n')
        self.write("src/net/n.cc", '#include "extra/e.h"\n')
        self.write("src/net/n_test.cc", '#include "extra/e.h"\n#include "test/t.h"\n')
        self.write("apps/weir/main.cc", '#include "net/n.h"\n')
        self.assertEqual(self.found(rules.check_layers),
                         {("src/base/up.cc", 1, "layers"), ("src/http/side.cc", 1, "layers"),
                          ("src/http/deeper.cc", 1, "layers"), ("src/net/n.cc", 1, "layers"),
                          ("src/net/n_test.cc", 2, "layers")})

    def test_layers_in_order(self):
        self.write("CMakeLists.txt", "weir_library(a src/a DEPS weir::b)\nweir_library(b src/b)\n")
        self.assertEqual(self.found(rules.check_layers), {("CMakeLists.txt", 1, "layers")})

    def test_banned_calls(self):
        bad = ["auto t = std::chrono::steady_clock::now();", "system_clock::now();", "x = std::rand();", "srand(1);",
               "std::random_device d;", "int fd = ::socket(1, 2, 3);", "::connect(fd, a, n);", "n = ::send(fd, p, 1);",
               "::recv(fd, p, n, 0);", "::accept4(fd, a, n, 0);", "::bind(fd, a, n);", "::listen(fd, 1);",
               "epoll_wait(e, v, n, 0);", "std::this_thread::sleep_for(1s);", "usleep(5);", "time(nullptr);",
               "clock_gettime(0, &t);", "getaddrinfo(a, b, c, d);"]
        good = ["pool.connect(a);", "Socket::connect(a);", "clock.now();", "// steady_clock::now()", 'log("rand(");',
                "operand(x);", "rng.rand();", "event_time(0);", "x.send(fd);", "connection->listen();"]
        self.write("src/http/a.cc", "\n".join(bad + good) + "\n")
        self.write("src/net/a.cc", "\n".join(bad) + "\n")
        self.assertEqual(self.found(rules.check_banned_calls),
                         {("src/http/a.cc", line, "banned-call") for line in range(1, len(bad) + 1)})

    def test_banned_calls_outside_src(self):
        text = "steady_clock::now();\n::socket(1, 2, 3);\nsleep_for(1s);\nrand();\n"
        for path in ("apps/weir/main.cc", "test/integration/a.cc", "test/sim/a.cc"):
            self.write(path, text)
        self.assertEqual(self.found(rules.check_banned_calls),
                         {("test/integration/a.cc", 4, "banned-call"), ("test/sim/a.cc", 3, "banned-call"),
                          ("test/sim/a.cc", 4, "banned-call")})

    def test_dead_files(self):
        self.write("src/base/used.h", "#pragma once\n")
        self.write("src/base/lonely.h", "#pragma once\n")
        self.write("src/base/lonely.cc", '#include "base/lonely.h"\n#include "base/used.h"\n')
        self.write("src/base/lonely_test.cc", '#include "base/lonely.h"\n')
        self.write("src/base/lonely_fuzz.cc", '#include "base/used.h"\n')
        self.write("src/nowhere/a.cc", "int a;\n")
        built = {"src/base/lonely.cc", "src/base/lonely_test.cc"}
        self.assertEqual(self.found(rules.check_dead, built),
                         {("src/base/lonely.h", 1, "dead-file"), ("src/nowhere/a.cc", 1, "dead-file")})

    @unittest.skipUnless(shutil.which(compile_headers.COMPILER), "needs the compiler")
    def test_header_alone(self):
        self.write("src/base/bad.h", "#pragma once\nstd::string f();\n")
        self.write("src/base/good.h", "#pragma once\n#include <string>\nstd::string g();\n")
        commands = {"src/base/a.cc": "ccache /usr/bin/clang++-19 -std=c++23 -o a.o -c src/base/a.cc".split()}

        def check(tree):
            return compile_headers.check_headers_alone(tree, commands, self.root / "build/headers")

        bad = {("src/base/bad.h", 1, "header-alone")}
        self.assertEqual(self.found(check), bad)
        self.assertEqual(len(list((self.root / "build/headers").iterdir())), 1)  # what passed is remembered ...
        self.assertEqual(self.found(check), bad)  # ... and what failed is not
        self.write("src/base/good.h", "#pragma once\nstd::string g();\n")
        self.assertEqual(len(self.found(check)), 2)

    def test_every_rule_has_an_example(self):
        rule_names = set()
        for path in pathlib.Path(rules.__file__).parent.glob("*.py"):
            rule_names.update(re.findall(r'Problem\([^"]*?(?:"CMakeLists.txt", layer.line, )?"([a-z-]+)"',
                                         path.read_text()))
        examples = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"\)', pathlib.Path(__file__).read_text()))
        shown_by_line = {"unfinished"}
        self.assertGreaterEqual(len(rule_names), 12)
        self.assertEqual(rule_names - examples - shown_by_line, set())


class FunctionsTest(unittest.TestCase):
    def lengths(self, text):
        return [(f.name, f.body_lines) for f in cpp.functions(text)]

    def test_scopes_do_not_count(self):
        text = "namespace a {\nclass B final : public C {\n public:\n  void f() {\n    x();\n  }\n};\n}\n"
        self.assertEqual(self.lengths(text), [("f", 1)])

    def test_initialisers_and_constructors(self):
        text = ("A::A(int x)\n    : a_{x},\n      b_(2), c_{3} {\n  one();\n  two();\n}\n"
                "const int kTable[] = {\n1,\n2,\n};\n")
        self.assertEqual([n for _, n in self.lengths(text) if n > 0], [2])

    def test_strings_comments_and_macros_do_not_confuse(self):
        text = ('#define OPEN {\nvoid f() {  // }\n  auto s = "}{";\n  char c = \'}\';\n  int n = 1\'000;\n'
                '  auto r = R"x(\n}}}\n)x";\n}\nvoid g() {\n  h();\n}\n')
        self.assertEqual(self.lengths(text), [("f", 6), ("g", 1)])

    def test_lambdas_belong_to_their_function(self):
        self.assertEqual(self.lengths("void f() {\n  auto g = [] {\n    h();\n  };\n}\n"), [("f", 3)])

    def test_aligned_struct_is_a_scope(self):
        self.assertEqual(self.lengths("struct alignas(64) A {\n  void f() {\n    x();\n  }\n};\n"), [("f", 1)])


if __name__ == "__main__":
    unittest.main()
