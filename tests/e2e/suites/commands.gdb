# A session at a debugger; what starts the program comes before it.
# SPDX-License-Identifier: MIT
set pagination off
set confirm off
backtrace
step
next
finish
delete 1
hbreak twice
continue
delete 2
tbreak other
continue
info threads
backtrace 1
print total
watch total
continue
delete 4
rwatch total
continue
delete 5
continue
print total
print $_siginfo.si_signo
signal 0
