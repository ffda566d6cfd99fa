# SPDX-License-Identifier: MIT
# What is installed: the build tree's own bin/ and lib/paravane/, without what only tests use; documents and licences.
include(GNUInstallDirs)
install(TARGETS paravane RUNTIME DESTINATION bin)
install(DIRECTORY "${PV_LIB_DIR}/" DESTINATION lib/paravane USE_SOURCE_PERMISSIONS
  PATTERN "paravane-kernel-test.elf" EXCLUDE)
# Builds with sanitizers have no manual pages (host-tools/cli/CMakeLists.txt).
if(NOT PV_SANITIZE)
  install(DIRECTORY "${PV_MAN_DIR}/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
endif()
install(FILES "${PV_COMPLETION_DIR}/paravane" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
install(FILES README.md LICENSE.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY LICENSES docs DESTINATION "${CMAKE_INSTALL_DOCDIR}")
