# SPDX-License-Identifier: MIT
# What is installed: the build tree's own bin/ and lib/paravane/, without what only tests use; documents and licences.
include(GNUInstallDirs)
install(TARGETS paravane RUNTIME DESTINATION bin)
install(DIRECTORY "${PV_LIB_DIR}/" DESTINATION lib/paravane USE_SOURCE_PERMISSIONS
  PATTERN "paravane-kernel-test.elf" EXCLUDE)
install(DIRECTORY "${PV_MAN_DIR}/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" OPTIONAL)
install(FILES README.md LICENSE.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY LICENSES docs DESTINATION "${CMAKE_INSTALL_DOCDIR}")
