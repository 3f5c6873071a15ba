/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF kernels (vmlinux): the loadable segments go to their physical addresses, the rest of each stays zero
 * as guest memory is born. The entry is that of the header, for the 64-bit protocol, or that of the PVH
 * note. An entry that is in no segment, segments that overlap, and anything outside the file or the memory are
 * refused.
 *
 * Sources: the System V ABI (ELF-64); Xen's public/elfnote.h (XEN_ELFNOTE_PHYS32_ENTRY) and
 * docs/misc/pvh.pandoc.
 */
#include "kernel_elf.h"

#include <elf.h>
#include <string.h>

#include "base/cleanup.h"
#include "layout.h"

#define SEGMENTS_MAX   64u
#define NOTES_MAX      (64u << 10)
#define NOTE_PVH_ENTRY 18u

/* Without a setup header: what the kernel itself says for initrd_addr_max, and COMMAND_LINE_SIZE. */
#define ELF_INITRD_ADDR_MAX 0x7fffffffu

static int check_header(const struct kernel_file *f, const Elf64_Ehdr *h, struct err *e)
{
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
	    h->e_machine != EM_X86_64)
		return err_unsupported(e, "%s: an ELF file, but not of x86-64", f->name);
	if (h->e_type != ET_EXEC)
		return err_unsupported(e, "%s: an ELF file, but no fixed executable", f->name);
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 || h->e_phnum > SEGMENTS_MAX)
		return err_invalid(e, "%s: %u program headers of %u bytes", f->name, h->e_phnum,
				   h->e_phentsize);
	return 0;
}

static bool within(const Elf64_Phdr *ph, uint64_t address)
{
	return ph->p_type == PT_LOAD && address >= ph->p_paddr &&
	       address - ph->p_paddr < ph->p_memsz;
}

static bool entry_is_loaded(const Elf64_Phdr *ph, unsigned n, uint64_t address)
{
	for (unsigned i = 0; i < n; i++)
		if (within(&ph[i], address))
			return true;
	return false;
}

static int check_segment(const struct kernel_file *f, const Elf64_Phdr *ph, unsigned i,
			 const struct guest_memory *m, struct err *e)
{
	const Elf64_Phdr *s = &ph[i];

	if (s->p_filesz > s->p_memsz)
		return err_invalid(e, "%s: segment %u is longer in the file than in memory",
				   f->name, i);
	if (s->p_offset > f->bytes || s->p_filesz > f->bytes - s->p_offset)
		return err_invalid(e, "%s: the file ends before its segment %u", f->name, i);
	if (s->p_memsz > UINT64_MAX - s->p_paddr || s->p_paddr < KERNEL_START)
		return err_invalid(e, "%s: segment %u at impossible address 0x%jx", f->name, i,
				   (uintmax_t)s->p_paddr);
	if (!guest_range(m, GPA(s->p_paddr), s->p_memsz) ||
	    s->p_paddr + s->p_memsz > m->region[0].start + m->region[0].bytes)
		return err_set(e, ERR_LIMIT, ENOSPC,
			       "%s: segment %u (0x%jx to 0x%jx) does not fit the guest's memory",
			       f->name, i, (uintmax_t)s->p_paddr,
			       (uintmax_t)(s->p_paddr + s->p_memsz));
	for (unsigned j = 0; j < i; j++)
		if (ph[j].p_type == PT_LOAD && ph[j].p_memsz &&
		    s->p_paddr < ph[j].p_paddr + ph[j].p_memsz &&
		    ph[j].p_paddr < s->p_paddr + s->p_memsz)
			return err_invalid(e, "%s: segments %u and %u overlap", f->name, j, i);
	return 0;
}

static int load_segments(const struct kernel_file *f, const Elf64_Phdr *ph, unsigned n,
			 const struct guest_memory *m, uint64_t *ret_end, struct err *e)
{
	uint64_t end = 0;
	int r = 0;

	/* All are checked before the first is read. */
	for (unsigned i = 0; i < n && r == 0; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_memsz)
			r = check_segment(f, ph, i, m, e);
	for (unsigned i = 0; i < n && r == 0; i++) {
		if (ph[i].p_type != PT_LOAD || !ph[i].p_memsz)
			continue;
		r = kernel_load_at(f, ph[i].p_offset, ph[i].p_filesz, m, ph[i].p_paddr, "segment",
				   e);
		if (ph[i].p_paddr + ph[i].p_memsz > end)
			end = ph[i].p_paddr + ph[i].p_memsz;
	}
	if (r == 0)
		*ret_end = end;
	return r;
}

/* The PVH entry in the notes at p: true and *ret. */
static bool find_note(const uint8_t *p, size_t len, uint64_t *ret)
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		size_t name, desc;

		memcpy(&n, p, sizeof(n));
		p += sizeof(n);
		len -= sizeof(n);
		name = ((size_t)n.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)n.n_descsz + 3) & ~(size_t)3;
		if (name > len || desc > len - name)
			return false;
		if (n.n_type == NOTE_PVH_ENTRY && n.n_namesz == 4 && memcmp(p, "Xen", 4) == 0 &&
		    (n.n_descsz == 4 || n.n_descsz == 8)) {
			*ret = 0;
			memcpy(ret, p + name, n.n_descsz);
			return true;
		}
		p += name + desc;
		len -= name + desc;
	}
	return false;
}

/* 1 and *ret, 0 when there is none, or -errno. */
static int find_pvh(const struct kernel_file *f, const Elf64_Phdr *ph, unsigned n, uint64_t *ret,
		    struct err *e)
{
	_cleanup_free_ uint8_t *notes = NULL;
	int r;

	for (unsigned i = 0; i < n; i++) {
		if (ph[i].p_type != PT_NOTE || ph[i].p_filesz > NOTES_MAX)
			continue;
		free(TAKE_PTR(notes));
		notes = malloc(ph[i].p_filesz ? ph[i].p_filesz : 1);
		if (!notes)
			return err_nomem(e);
		r = kernel_read_at(f, ph[i].p_offset, notes, ph[i].p_filesz, "notes", e);
		if (r < 0)
			return r;
		if (find_note(notes, ph[i].p_filesz, ret))
			return 1;
	}
	return 0;
}

int kernel_elf_load(const struct kernel_file *f, enum kernel_entry_choice choice,
		    const struct guest_memory *m, struct loaded_kernel *ret, struct err *e)
{
	struct loaded_kernel k = {
		.entry = KERNEL_ENTRY_LINUX64,
		.initrd_addr_max = ELF_INITRD_ADDR_MAX,
		.cmdline_max = BOOT_CMDLINE_MAX - 1,
	};
	Elf64_Phdr ph[SEGMENTS_MAX];
	Elf64_Ehdr h;
	uint64_t pvh = 0;
	int r = kernel_read_at(f, 0, &h, sizeof(h), "ELF header", e);

	if (r == 0)
		r = check_header(f, &h, e);
	if (r == 0)
		r = kernel_read_at(f, h.e_phoff, ph, h.e_phnum * sizeof(ph[0]), "program headers",
				   e);
	if (r < 0)
		return r;
	k.rip = h.e_entry;
	if (choice != KERNEL_ENTRY_ONLY_LINUX64) {
		r = find_pvh(f, ph, h.e_phnum, &pvh, e);
		if (r < 0)
			return r;
		if (r == 0 && choice == KERNEL_ENTRY_ONLY_PVH)
			return err_unsupported(e, "%s: no PVH entry", f->name);
		if (r == 1) {
			k.entry = KERNEL_ENTRY_PVH;
			k.rip = pvh;
		}
	}
	if (!entry_is_loaded(ph, h.e_phnum, k.rip))
		return err_invalid(e, "%s: its entry 0x%jx is in no segment", f->name,
				   (uintmax_t)k.rip);
	/* Both ways in see the first GiB: by our page tables, or by the kernel's own first ones. */
	if (k.rip >= BOOT_IDENTITY_BYTES)
		return err_invalid(e, "%s: its entry 0x%jx is beyond the first GiB", f->name,
				   (uintmax_t)k.rip);
	r = load_segments(f, ph, h.e_phnum, m, &k.end, e);
	if (r < 0)
		return r;
	*ret = k;
	return 0;
}
