# Compiler settings and the helpers that turn a folder into a library, its tests, fuzz targets and micro benchmarks.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})  # build/release/weir, whatever folder made it

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS SSL Crypto)
find_package(Threads REQUIRED)
pkg_check_modules(cares REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(fyaml REQUIRED IMPORTED_TARGET libfyaml)

add_library(weir_options INTERFACE)
target_compile_options(weir_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Wunused -Werror -fno-omit-frame-pointer)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
  target_compile_options(weir_options INTERFACE -msse4.2 -mpopcnt)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_link_options(weir_options INTERFACE -fuse-ld=lld-19)
endif()
target_include_directories(weir_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(weir_options INTERFACE Threads::Threads)

if(WEIR_SANITIZE)
  set(sanitize -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all)
  target_compile_options(weir_options INTERFACE ${sanitize})
  target_link_options(weir_options INTERFACE ${sanitize})
endif()
if(WEIR_FUZZ)
  target_compile_options(weir_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(WEIR_THINLTO)
  target_compile_options(weir_options INTERFACE -flto=thin)
  target_link_options(weir_options INTERFACE -flto=thin -Wl,--thinlto-cache-dir=${CMAKE_BINARY_DIR}/thinlto-cache)
endif()
# docs/adr/010-a-profile-in-the-tree.md says why. Code that is newer than the profile is optimised without it.
set(profile ${CMAKE_SOURCE_DIR}/cmake/weir.profdata)
# Functions of one file are named by the file alone: by its whole path they would be found only where they were counted.
set(profile_names "SHELL:-mllvm -static-func-full-module-prefix=false")
if(WEIR_PROFILE STREQUAL "count")
  target_compile_options(weir_options INTERFACE -fprofile-generate ${profile_names})
  target_link_options(weir_options INTERFACE -fprofile-generate)
elseif(WEIR_PROFILE STREQUAL "use" AND CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND EXISTS ${profile})
  target_compile_options(weir_options INTERFACE -fprofile-use=${profile} ${profile_names} -Wno-profile-instr-out-of-date
                         -Wno-profile-instr-unprofiled -Wno-backend-plugin)
  # Another profile is another command line: so everything is compiled anew.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${profile})
  file(SHA256 ${profile} profile_hash)
  string(SUBSTRING ${profile_hash} 0 8 profile_hash)
  target_compile_definitions(weir_options INTERFACE WEIR_PROFILE_HASH=${profile_hash})
endif()

if(WEIR_TESTS OR WEIR_FUZZ)
  find_library(NGHTTP2 nghttp2 REQUIRED)
endif()
if(WEIR_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  find_library(RAPIDCHECK rapidcheck REQUIRED)
  find_library(HTTP_PARSER http_parser REQUIRED)
  find_package(benchmark REQUIRED)
endif()

# weir_library(NAME FOLDER DEPS ... [TEST_DEPS ...] [LABELS ...] [TEST_TIMEOUT_S n]): the folder's own *.cc become
# weir::NAME (an interface library if there are none); *_test.cc become one test program NAME_test, each *_fuzz.cc a
# fuzz target, *_bench.cc one program NAME_bench. TEST_DEPS are for tests, fuzz targets and benchmarks only; LABELS and
# TEST_TIMEOUT_S go to weir_test.
function(weir_library name folder)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "TEST_TIMEOUT_S" "DEPS;TEST_DEPS;LABELS")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*_test.cc)
  file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*_fuzz.cc)
  file(GLOB benches CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*_bench.cc)
  list(REMOVE_ITEM sources ${tests} ${fuzzers} ${benches} "")
  if(sources)
    add_library(weir_${name} STATIC ${sources})
    target_link_libraries(weir_${name} PUBLIC ${arg_DEPS} PRIVATE weir_options)
    target_include_directories(weir_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  else()
    add_library(weir_${name} INTERFACE)
    target_link_libraries(weir_${name} INTERFACE ${arg_DEPS})
    target_include_directories(weir_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
  endif()
  add_library(weir::${name} ALIAS weir_${name})
  if(WEIR_TESTS AND tests)
    weir_test(${name}_test SOURCES ${tests} DEPS weir::${name} ${arg_TEST_DEPS}
              LABELS ${arg_LABELS} TIMEOUT_S ${arg_TEST_TIMEOUT_S})
  endif()
  if(WEIR_TESTS AND benches)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE weir::${name} ${arg_TEST_DEPS} weir_options benchmark::benchmark_main)
  endif()
  if(WEIR_FUZZ)
    foreach(source IN LISTS fuzzers)
      get_filename_component(target ${source} NAME_WE)
      add_executable(${target} ${source})
      target_link_libraries(${target} PRIVATE weir::${name} ${arg_TEST_DEPS} weir_options)
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
      weir_add_to_manifest(${target} fuzz $<TARGET_FILE:${target}> LABELS fuzz)
    endforeach()
  endif()
endfunction()

# weir_test(NAME SOURCES ... DEPS ... [LABELS ...] [TIMEOUT_S n]): a GoogleTest program. Labels that ./test.sh knows:
#   threads       several threads are at work: runs under ThreadSanitizer too
#   integration   drives the programs weir and weir-backend (in the folder $WEIR_BINARIES): runs against the release
#                 build and the address-sanitized one, not the development build
#   release-only  measures (memory, allocations, time): runs against the release build alone
#   serial        runs while no other test does
function(weir_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT_S" "SOURCES;DEPS;LABELS")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} weir_options GTest::gmock GTest::gtest_main
                        ${RAPIDCHECK} ${HTTP_PARSER} ${NGHTTP2})
  weir_add_to_manifest(${name} gtest $<TARGET_FILE:${name}> LABELS ${arg_LABELS} TIMEOUT_S ${arg_TIMEOUT_S})
endfunction()

# weir_python_test(NAME SCRIPT path [LABELS ...] [TIMEOUT_S n]): a Python unittest program, with labels as above.
function(weir_python_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SCRIPT;TIMEOUT_S" "LABELS")
  get_filename_component(script ${arg_SCRIPT} ABSOLUTE)
  weir_add_to_manifest(${name} python ${script} LABELS ${arg_LABELS} TIMEOUT_S ${arg_TIMEOUT_S})
endfunction()

# The test programs of a build folder stand in its tests.txt, one a line: name|kind|program|labels|bound in seconds.
# tools/run_tests.py reads it and counts single cases; a process for each case would cost more than the cases do.
function(weir_add_to_manifest name kind program)
  cmake_parse_arguments(PARSE_ARGV 3 arg "" "TIMEOUT_S" "LABELS")
  if(NOT arg_TIMEOUT_S)
    set(arg_TIMEOUT_S 120)
  endif()
  list(JOIN arg_LABELS "," labels)
  set_property(GLOBAL APPEND PROPERTY weir_manifest "${name}|${kind}|${program}|${labels}|${arg_TIMEOUT_S}")
  if(kind STREQUAL fuzz)
    return()
  endif()
  set(command ${program})
  if(kind STREQUAL python)
    set(command ${Python3_EXECUTABLE} ${program})
  endif()
  add_test(NAME ${name} COMMAND ${command})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT_S} LABELS "${arg_LABELS}"
    ENVIRONMENT "WEIR_BINARIES=${CMAKE_BINARY_DIR};WEIR_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
endfunction()

function(weir_write_manifest)
  get_property(lines GLOBAL PROPERTY weir_manifest)
  list(JOIN lines "\n" text)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/tests.txt CONTENT "${text}\n")
endfunction()
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL weir_write_manifest)
