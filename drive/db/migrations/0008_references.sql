-- A deleted file has no references, whichever statement deletes it. Whoever makes one locks the file first, and this runs
-- after the file is locked, with a snapshot of its own: no reference outlives its file.
create function file_left_resources() returns trigger language plpgsql as $$
begin
    delete from file_references where file_id = new.id;
    return null;
end
$$;
create trigger file_left_resources after update of deleted_at on files
    for each row when (old.deleted_at is null and new.deleted_at is not null) execute function file_left_resources();
delete from file_references r using files f where f.id = r.file_id and f.deleted_at is not null;
