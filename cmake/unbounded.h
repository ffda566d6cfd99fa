// Functions that write as much as they are given, whatever room there is: whoever calls one does not compile.
// SPDX-License-Identifier: MIT
//
// Every source file of this project gets this file before its own first line (CMakeLists.txt). The use of a
// deprecated function is an error there and nothing in the headers of the system and of others, which #pragma
// GCC poison would break.
#pragma once

#pragma GCC diagnostic error "-Wdeprecated-declarations"

#ifdef __cplusplus
#define PV_NOTHROW noexcept
extern "C" {
#else
#define PV_NOTHROW __attribute__((nothrow))
typedef __WCHAR_TYPE__ wchar_t;
#endif

#define PV_UNBOUNDED __attribute__((deprecated("it writes without a bound")))

PV_UNBOUNDED char* strcpy(char* __restrict, const char* __restrict) PV_NOTHROW;
PV_UNBOUNDED char* strcat(char* __restrict, const char* __restrict) PV_NOTHROW;
PV_UNBOUNDED char* stpcpy(char* __restrict, const char* __restrict) PV_NOTHROW;
PV_UNBOUNDED wchar_t* wcscpy(wchar_t* __restrict, const wchar_t* __restrict) PV_NOTHROW;
PV_UNBOUNDED wchar_t* wcscat(wchar_t* __restrict, const wchar_t* __restrict) PV_NOTHROW;
PV_UNBOUNDED wchar_t* wcpcpy(wchar_t* __restrict, const wchar_t* __restrict) PV_NOTHROW;
PV_UNBOUNDED char* gets(char*);
PV_UNBOUNDED char* getwd(char*) PV_NOTHROW;
PV_UNBOUNDED int sprintf(char* __restrict, const char* __restrict, ...) PV_NOTHROW;
PV_UNBOUNDED int vsprintf(char* __restrict, const char* __restrict, __builtin_va_list) PV_NOTHROW;

#undef PV_UNBOUNDED
#undef PV_NOTHROW
#ifdef __cplusplus
}
#endif
