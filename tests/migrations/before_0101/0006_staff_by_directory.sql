-- Why two columns for staff: leaving the directory's staff group must end the right at the next login, while who was made
-- staff by hand (`bootstrap-user --staff`) stays so whatever groups there are. One column could not tell which it was.
alter table users rename column staff to staff_by_hand;
alter table users
    add column staff_by_directory boolean not null default false,
    -- The directory is not asked about users with a local password, so what it once said about them would never end.
    add constraint users_directory_or_password check (password_hash is null or not staff_by_directory);
-- What everybody reads; nobody can forget one of the two.
alter table users
    add column staff boolean not null generated always as (staff_by_hand or staff_by_directory) stored;
