# A session at a debugger; what starts the program comes before it.
# SPDX-License-Identifier: MIT
set pagination off
set confirm off
backtrace
step
next
finish
tbreak other
delete 1
continue
info threads
backtrace 1
print total
continue
print total
print $_siginfo.si_signo
signal 0
