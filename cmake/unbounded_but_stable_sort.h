// For clang, and files that sort stably: libstdc++ 12's own stable_sort uses what it deprecates, and hides
// that from GCC only. GCC judges the same files with unbounded.h alone.
// SPDX-License-Identifier: MIT
#pragma once

#include "unbounded.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
