-- A deleted file leaves its folders, whichever statement deletes it. Whoever adds or moves an entry locks the file first,
-- and this runs after the file is locked, with a snapshot of its own: no entry outlives its file.
create function file_left_folders() returns trigger language plpgsql as $$
begin
    delete from file_indexes where file_id = new.id;
    return null;
end
$$;
create trigger file_left_folders after update of deleted_at on files
    for each row when (old.deleted_at is null and new.deleted_at is not null) execute function file_left_folders();
delete from file_indexes i using files f where f.id = i.file_id and f.deleted_at is not null;
