// SPDX-License-Identifier: Apache-2.0

#include "reactor/scripted_files.h"

#include <errno.h>
#include <string.h>

#include "core/assert.h"

void tina_files_init(scripted_files *fs, uint8_t *data) {
    for (int32_t i = 0; i < fs->file_count; i++) {
        fs->files[i] = (scripted_file){.data = data + (size_t)i * fs->file_bytes_max};
    }
    for (int32_t i = 0; i < fs->opened_count; i++) {
        fs->opened[i].file = -1;
    }
}

static int32_t file_find(const scripted_files *fs, const char *path) {
    if (strlen(path) >= SCRIPTED_NAME_BYTES) {
        return -ENAMETOOLONG;
    }
    if (strcmp(path, ".") == 0) {
        return fs->file_count;
    }
    for (int32_t i = 0; i < fs->file_count; i++) {
        if (fs->files[i].used && strcmp(fs->files[i].name, path) == 0) {
            return i;
        }
    }
    return -ENOENT;
}

static int32_t file_create(scripted_files *fs, const char *path, uint32_t permissions) {
    for (int32_t i = 0; i < fs->file_count; i++) {
        scripted_file *file = &fs->files[i];
        if (!file->used) {
            uint8_t *data = file->data;
            *file = (scripted_file){.data = data, .permissions = permissions, .used = true};
            file->modified_ns = ++fs->writes;
            memcpy(file->name, path, strlen(path) + 1);
            return i;
        }
    }
    return -ENOSPC;
}

// A file goes when it has no name and nobody has it open.
static void file_drop(scripted_file *file) {
    if (file->name[0] == 0 && file->opened == 0) {
        file->used = false;
    }
}

static int32_t opened_take(scripted_files *fs, int32_t file, uint32_t how) {
    for (int32_t i = 0; i < fs->opened_count; i++) {
        if (fs->opened[i].file < 0) {
            fs->opened[i] = (scripted_opened){.file = file, .how = how};
            if (file < fs->file_count) {
                fs->files[file].opened++;
            }
            return i;
        }
    }
    return -EMFILE;
}

int32_t tina_files_open(scripted_files *fs, const char *path, uint32_t how, uint32_t permissions) {
    int32_t file = file_find(fs, path);
    if (file == fs->file_count) {
        return (how & TINA_OPEN_WRITE) != 0 ? -EISDIR : opened_take(fs, file, how);
    }
    if (file >= 0 && (how & TINA_OPEN_EXCLUSIVE) != 0) {
        return -EEXIST;
    }
    if (file >= 0 && (how & TINA_OPEN_DIRECTORY) != 0) {
        return -ENOTDIR;
    }
    if (file == -ENOENT && (how & TINA_OPEN_CREATE) != 0) {
        file = file_create(fs, path, permissions);
    }
    int32_t opened = file < 0 ? file : opened_take(fs, file, how);
    if (opened >= 0 && (how & TINA_OPEN_TRUNCATE) != 0) {
        fs->files[file].bytes = 0;
    }
    return opened;
}

static scripted_opened *opened_at(scripted_files *fs, int32_t opened) {
    TINA_ASSERT(opened >= 0 && opened < fs->opened_count);
    TINA_ASSERT(fs->opened[opened].file >= 0);
    return &fs->opened[opened];
}

int32_t tina_files_read(scripted_files *fs, int32_t opened, uint64_t offset, void *data,
                        uint32_t bytes) {
    scripted_opened *o = opened_at(fs, opened);
    if (o->file == fs->file_count) {
        return -EISDIR;
    }
    const scripted_file *file = &fs->files[o->file];
    uint64_t at = offset == TINA_OFFSET_POSITION ? o->position : offset;
    uint32_t count = 0;
    if (at < file->bytes) {
        uint32_t left = file->bytes - (uint32_t)at;
        count = bytes < left ? bytes : left;
        memcpy(data, file->data + at, count);
    }
    if (offset == TINA_OFFSET_POSITION) {
        o->position += count;
    }
    return (int32_t)count;
}

static uint64_t write_offset(const scripted_opened *o, const scripted_file *file, uint64_t offset) {
    if ((o->how & TINA_OPEN_APPEND) != 0) {
        return file->bytes;
    }
    return offset == TINA_OFFSET_POSITION ? o->position : offset;
}

int32_t tina_files_write(scripted_files *fs, int32_t opened, uint64_t offset, const void *data,
                         uint32_t bytes) {
    scripted_opened *o = opened_at(fs, opened);
    scripted_file *file = &fs->files[o->file];
    uint64_t at = write_offset(o, file, offset);
    if (at >= fs->file_bytes_max) {
        return -ENOSPC;
    }
    uint32_t room = fs->file_bytes_max - (uint32_t)at;
    uint32_t count = bytes < room ? bytes : room;
    if (at > file->bytes) {
        memset(file->data + file->bytes, 0, (uint32_t)at - file->bytes);
    }
    memcpy(file->data + at, data, count);
    uint32_t end = (uint32_t)at + count;
    file->bytes = end > file->bytes ? end : file->bytes;
    file->modified_ns = ++fs->writes;
    if (offset == TINA_OFFSET_POSITION) {
        o->position = end;
    }
    return (int32_t)count;
}

int32_t tina_files_stat(const scripted_files *fs, int32_t opened, const char *path,
                        tina_file_stat *stat) {
    int32_t at = opened >= 0 ? fs->opened[opened].file : file_find(fs, path);
    if (at < 0) {
        return at;
    }
    if (at == fs->file_count) {
        *stat = (tina_file_stat){.inode = 1, .kind = TINA_FILE_DIRECTORY, .permissions = 0755};
        return 0;
    }
    const scripted_file *file = &fs->files[at];
    *stat = (tina_file_stat){
        .bytes = file->bytes,
        .modified_ns = file->modified_ns,
        .inode = 2 + (uint64_t)at,
        .kind = TINA_FILE_REGULAR,
        .permissions = file->permissions,
    };
    return 0;
}

int32_t tina_files_rename(scripted_files *fs, const char *from, const char *to) {
    int32_t file = file_find(fs, from);
    int32_t replaced = file_find(fs, to);
    if (file < 0) {
        return file;
    }
    if (replaced < 0 && replaced != -ENOENT) {
        return replaced;
    }
    if (file == fs->file_count || replaced == fs->file_count) {
        return -EBUSY;
    }
    if (file == replaced) {
        return 0;
    }
    if (replaced >= 0) {
        fs->files[replaced].name[0] = 0;
        file_drop(&fs->files[replaced]);
    }
    memcpy(fs->files[file].name, to, strlen(to) + 1);
    return 0;
}

int32_t tina_files_unlink(scripted_files *fs, const char *path) {
    int32_t file = file_find(fs, path);
    if (file < 0) {
        return file;
    }
    if (file == fs->file_count) {
        return -EISDIR;
    }
    fs->files[file].name[0] = 0;
    file_drop(&fs->files[file]);
    return 0;
}

void tina_files_close(scripted_files *fs, int32_t opened) {
    scripted_opened *o = opened_at(fs, opened);
    if (o->file < fs->file_count) {
        scripted_file *file = &fs->files[o->file];
        TINA_ASSERT(file->opened > 0);
        file->opened--;
        file_drop(file);
    }
    o->file = -1;
}
