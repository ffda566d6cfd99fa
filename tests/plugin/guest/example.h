// The example of docs/markers.md, as a scenario of the test guest.
// SPDX-License-Identifier: MIT
#ifndef PARAVANE_TEST_EXAMPLE_H
#define PARAVANE_TEST_EXAMPLE_H

/// Says hello, reads one page with every marker that belongs to it, says goodbye.
void example(void);

#endif
