# SPDX-License-Identifier: MIT
# Writes one manual page from the help of ./paravane SUBCOMMAND. Variables: HELP2MAN, PAGE, SUBCOMMAND, VERSION.
set(command "./paravane")
set(title "paravane")
if(SUBCOMMAND)
  set(command "./paravane ${SUBCOMMAND}")
  string(REPLACE " " "-" title "paravane-${SUBCOMMAND}")
endif()
separate_arguments(words UNIX_COMMAND "${command} --help")
execute_process(COMMAND ${words} OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
# The first sentence is the summary.
string(REGEX MATCH "^[^\n]+" summary "${help}")
string(REGEX REPLACE "\\.$" "" summary "${summary}")
if(NOT SUBCOMMAND)
  set(summary "watch a virtual machine from outside, and say whether isolation and timeouts hold")
endif()
execute_process(COMMAND "${HELP2MAN}" --no-info --section=1 "--name=${summary}" "--version-string=${VERSION}" "${command}"
  OUTPUT_VARIABLE page COMMAND_ERROR_IS_FATAL ANY)
# No date: the same sources give the same bytes. The command's own name instead of the path it was run by.
string(TOUPPER "${title}" upper)
string(REGEX REPLACE "\\.TH [^\n]*" ".TH \"${upper}\" \"1\" \"\" \"paravane ${VERSION}\" \"Paravane\"" page "${page}")
string(REGEX REPLACE "\\.SH NAME\n[^\n]*" ".SH NAME\n${title} \\\\- ${summary}" page "${page}")
string(REPLACE "./paravane" "paravane" page "${page}")
string(APPEND page ".SH \"SEE ALSO\"\n")
if(SUBCOMMAND)
  string(APPEND page ".BR paravane (1)\n")
else()
  string(APPEND page ".BR paravane\\-check (1),\n.BR paravane\\-run (1),\n.BR paravane\\-record (1),\n.BR paravane\\-analyze (1),\n"
    ".BR paravane\\-query (1),\n.BR paravane\\-report (1),\n.BR paravane\\-image\\-build (1),\n.BR paravane\\-image\\-list (1),\n.BR paravane\\-image\\-show (1),\n"
    ".BR paravane\\-domain\\-xml (1),\n.BR paravane\\-doctor (1)\n")
endif()
file(WRITE "${PAGE}" "${page}")
