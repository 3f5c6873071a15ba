/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts and hidden paths that an ordinary container has, as JSON text: shared by `spec` and `run`.
 *
 * Masked: what tells of, or reaches, the host beyond the sandbox: hardware (acpi, asound, scsi,
 * firmware), interrupt and timer patterns that leak other sandboxes' work, kernel memory and
 * keys, power meters (a side channel: CVE-2020-8694). Read-only: kernel switches.
 */
#pragma once

/* clang-format off */
#define DEFAULT_MOUNTS_JSON \
"[" \
  "{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"," \
   "\"options\": [\"nosuid\", \"noexec\", \"nodev\"]}," \
  "{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\"," \
   "\"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"]}," \
  "{\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\"," \
   "\"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\"," \
                 "\"gid=5\"]}," \
  "{\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\"," \
   "\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"]}," \
  "{\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\"," \
   "\"options\": [\"nosuid\", \"noexec\", \"nodev\"]}," \
  "{\"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\"," \
   "\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]}," \
  "{\"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\"," \
   "\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\"]}" \
"]"

#define DEFAULT_MASKED_PATHS_JSON \
"[\"/proc/acpi\", \"/proc/asound\", \"/proc/interrupts\", \"/proc/kcore\", \"/proc/keys\"," \
 "\"/proc/latency_stats\", \"/proc/timer_list\", \"/proc/timer_stats\", \"/proc/sched_debug\"," \
 "\"/proc/scsi\", \"/sys/firmware\", \"/sys/devices/virtual/powercap\"]"

#define DEFAULT_READONLY_PATHS_JSON \
"[\"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\", \"/proc/sysrq-trigger\"]"
/* clang-format on */
