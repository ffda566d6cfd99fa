-- The trace: what one run of a guest left behind. SQLite, schema version 1.0.
-- SPDX-License-Identifier: MIT
--
-- Written by `paravane record`, judged by `paravane analyze`, both by `paravane check`. Views with named columns
-- (one a kind of event, generated from paravane/trace_event.hpp) are what queries should use; the tables below
-- are what they stand on. A 64-bit unsigned value is stored as the signed integer with the same bits.

-- schema_major, schema_minor, then what is known of the run: guest, kernel, command_line, cpus, memory, qemu,
-- libvirt, plugin, started (ISO 8601), duration_us, outcome, events, lost, not_understood, reproduce,
-- console (the last 64 KiB of the guest's console as the guest sent them: hostile).
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Interned text: region names, reasons. Chosen by guest or device: hostile, bounded to 1,024 bytes.
CREATE TABLE string (id INTEGER PRIMARY KEY, text TEXT NOT NULL);

-- The table of kinds as this trace's writer knew it.
CREATE TABLE event_kind (kind INTEGER PRIMARY KEY, name TEXT NOT NULL, log_name TEXT NOT NULL,
                         a0 TEXT, a1 TEXT, a2 TEXT, a3 TEXT, a4 TEXT, a5 TEXT);

-- One row an event. time: microseconds since the first event. cpu: NULL where no vCPU acted. pc: NULL where the
-- instruction is not known. Trailing arguments a kind does not have are NULL.
CREATE TABLE event (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind INTEGER NOT NULL, cpu INTEGER, pc INTEGER,
                    a0 INTEGER, a1 INTEGER, a2 INTEGER, a3 INTEGER, a4 INTEGER, a5 INTEGER);

-- Devices as the domain was built and as the guest named them. name: disk0, net0, ...; kind: nvme, virtio-blk, ...
CREATE TABLE device (bdf INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT);

-- Symbols of the guest's kernel, for addresses in events; filled when a kernel ELF or System.map was given.
CREATE TABLE symbol (address INTEGER PRIMARY KEY, size INTEGER, name TEXT NOT NULL);

-- One row a rule that was selected. outcome: 'held', 'broken', 'not observed'. observed: how often the rule had
-- something to judge, in `unit`. note: what was missing, for 'not observed'; what limits the evidence otherwise.
CREATE TABLE rule_result (rule TEXT PRIMARY KEY, outcome TEXT NOT NULL, observed INTEGER NOT NULL, unit TEXT NOT NULL,
                          findings INTEGER NOT NULL, evidence TEXT NOT NULL, note TEXT NOT NULL);

-- One row a violation. seq/time/cpu/pc: the event that breaks the rule. severity: 'error', 'warning', 'advice'.
CREATE TABLE finding (id INTEGER PRIMARY KEY, rule TEXT NOT NULL, severity TEXT NOT NULL, seq INTEGER NOT NULL,
                      time INTEGER NOT NULL, cpu INTEGER, pc INTEGER, bdf INTEGER, address INTEGER, length INTEGER,
                      title TEXT NOT NULL, detail TEXT NOT NULL);

-- The events that prove a finding, in order. role: 'access', 'mapped', 'unmapped', 'submitted', 'before', ...
CREATE TABLE finding_event (finding INTEGER NOT NULL, seq INTEGER NOT NULL, role TEXT NOT NULL,
                            PRIMARY KEY (finding, seq, role)) WITHOUT ROWID;

-- Commands to devices, one row each, as the analysis put them together: the report's latencies and time line.
-- Times in microseconds since the first event; NULL where it did not happen. outcome: 'completed', 'failed',
-- 'timed out', 'aborted', 'reset', 'lost'. operation: 'read', 'write', 'flush', 'admin', ...
CREATE TABLE command (id INTEGER PRIMARY KEY, bdf INTEGER, queue INTEGER NOT NULL, command INTEGER NOT NULL,
                      operation TEXT NOT NULL, bytes INTEGER, lba INTEGER, submitted INTEGER NOT NULL,
                      deadline INTEGER, timed_out INTEGER, completed INTEGER, status INTEGER, outcome TEXT NOT NULL);

-- What happened to a device or to the guest beside single commands, as the analysis put it together: the report's
-- time line. seq: the event that shows it. bdf: NULL for the guest as a whole. what: 'timeout', 'abort', 'reset',
-- 'error', 'fault begin', 'fault end', 'enabled', 'disabled', ... (a reader shows words it does not know as they
-- are). detail: one line for people.
CREATE TABLE timeline (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, time INTEGER NOT NULL, bdf INTEGER,
                       what TEXT NOT NULL, detail TEXT NOT NULL);

-- The verdict: verdict ('pass', 'fail', 'incomplete'), exit status, and why.
CREATE TABLE verdict (verdict TEXT NOT NULL, exit_status INTEGER NOT NULL, reason TEXT NOT NULL);
